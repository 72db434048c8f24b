"""Numbers as people read them: the same number is written the same way everywhere."""


def level_text(value: object) -> str:
    """A field's value, in a sentence, table, figure or run's name: 0.00123, 128, adam."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def number_text(value: float, sign: str = "") -> str:
    """A measured number with three digits, counts from 1,000 on in full; `sign` "+" signs it."""
    if abs(value) >= 1000:
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:{sign}.1e}"
