"""Packets that a server answers: eight requests under way at once, on one thread.

What an ``async def`` calculator sends leaves in the order of its inputs, whichever request is
answered first.

Prints:
    at once: 8
    answers: ['0!', '1!', '2!', '3!', '4!', '5!', '6!', '7!']
"""

import asyncio

from handheld.graph import Calculator, Context, Contract, Graph, GraphConfig, Node


class Ask(Calculator):
    """Asks a server, which answers only when eight wait, and the last first."""

    contract = Contract(inputs={"question": str}, outputs={"answer": str})

    async def open(self, context: Context) -> None:
        self.waiting = 0
        self.most = 0
        self.all_here = asyncio.Event()  # stands for a session with a server

    async def process(self, context: Context) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting == 8:
            self.all_here.set()
        await asyncio.wait_for(self.all_here.wait(), 10)
        await asyncio.sleep(0.001 * (8 - context.timestamp))
        context.send("answer", context.get("question") + "!")

    async def close(self, context: Context) -> None:
        print("at once:", self.most)


async def main() -> None:
    """Ask eight questions."""
    nodes = [Node(Ask(), inputs="question", outputs="answer", max_in_flight=8)]
    config = GraphConfig(inputs={"question": str}, nodes=nodes)
    async with Graph(config, threads=1) as graph:
        answers = graph.output("answer")
        for number in range(8):
            graph.add("question", str(number), timestamp=number)
        graph.close_input()
        print("answers:", [packet.payload async for packet in answers])


if __name__ == "__main__":
    asyncio.run(main())
