"""Pictures and words of reports: amounts as people read them, axes, curves, pages. All of it needs nothing but itself."""
