"""Whole rounds over real TLS."""


def test_a_secure_round_end_to_end(federation, start, device, together, book, database_url):
    server = start(federation(server={"database": database_url}))
    devices = [device(server, value=value) for value in (1, 10, 100)]
    outcomes = together(*[one.take_part for one in devices])
    assert [outcome.counted for outcome in outcomes] == [True, True, True]
    ours = book(server.folder, database_url)
    number, state = ours.until(lambda: ours.head()[0] and ours.head())
    assert (number, state["clients"], state["total"]) == (1, 3, [111] * 5)
