"""Blocks of numbers to elements with a shared scale."""

from minimac.rtl.quantize.unit import QuantizePlan, Quantizer, QuantizeUnit

__all__ = ["QuantizePlan", "QuantizeUnit", "Quantizer"]
