"""A Monsoon HVPM behind pyusb: descriptors, settings, and packets of a known current and voltage."""

import struct
import time
from array import array
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core

ZERO, REFERENCE = 1000, 4015
"""Readings of both ranges while the meter calibrates itself."""
OFFSET = 15
FINE_SCALE, COARSE_SCALE = 36_500, 6_400
VALUES = {
    0xC0: 32,  # firmware
    0xC1: 17,
    0x42: 1234,  # serial number
    0x45: 2,  # HVPM
    0xC4: 0,
    0x88: 0xE000,
    0x89: 0xC800,
    0x1A: FINE_SCALE,
    0x1B: COARSE_SCALE,
    0x25: OFFSET,
    0x26: OFFSET,
}
SET_VOLTAGE = 0x41


def sample(kind: int, milliamperes: float, volts: float) -> bytes:
    """One sample of 18 bytes as the meter sends it."""
    span = REFERENCE - ZERO - OFFSET
    coarse = ZERO + OFFSET + milliamperes / COARSE_SCALE * span
    fine = ZERO + OFFSET + milliamperes * 1000 / FINE_SCALE * span
    if kind != 0x00:
        coarse = fine = ZERO if kind == 0x10 else REFERENCE
    words = [round(coarse), min(65535, round(fine)), 0, 0, 0, 0, round(volts / 250e-6), 0, kind]
    return struct.pack(">9H", *words)


def packet(samples: list[bytes], dropped: int = 0) -> bytes:
    """A packet of 64 bytes."""
    head = struct.pack("<HBB", dropped % 65536, 0, len(samples))
    return (head + b"".join(samples)).ljust(64, b"\0")


class FakeBackend(usb.backend.IBackend):  # type: ignore[misc]
    """One meter. `fail_after` packets the bus breaks; every `drop_every`th packet loses one sample."""

    def __init__(self, milliamperes: float = 500.0, volts: float = 3.85) -> None:
        super().__init__()
        self.milliamperes, self.volts = milliamperes, volts
        self.fail_after: int | None = None
        self.drop_every = 0
        self.volts_set: list[float] = []
        self.starts = self.packets = self.dropped = 0

    def enumerate_devices(self) -> Any:
        yield 1

    def get_device_descriptor(self, dev: Any) -> Any:
        del dev
        return SimpleNamespace(
            bLength=18, bDescriptorType=1, bcdUSB=0x200, bDeviceClass=0, bDeviceSubClass=0,
            bDeviceProtocol=0, bMaxPacketSize0=64, idVendor=0x2AB9, idProduct=1, bcdDevice=0x100,
            iManufacturer=0, iProduct=0, iSerialNumber=0, bNumConfigurations=1, address=1, bus=1,
            port_number=1, port_numbers=(1,), speed=2,
        )  # fmt: skip

    def get_configuration_descriptor(self, dev: Any, config: int) -> Any:
        del dev
        if config:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=2, wTotalLength=32, bNumInterfaces=1, bConfigurationValue=1,
            iConfiguration=0, bmAttributes=0x80, bMaxPower=50, extra_descriptors=[],
        )  # fmt: skip

    def get_interface_descriptor(self, dev: Any, intf: int, alt: int, config: int) -> Any:
        del dev, config
        if intf or alt:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0, bNumEndpoints=2,
            bInterfaceClass=255, bInterfaceSubClass=0, bInterfaceProtocol=0, iInterface=0,
            extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(self, dev: Any, ep: int, intf: int, alt: int, config: int) -> Any:
        del dev, intf, alt, config
        return SimpleNamespace(
            bLength=7, bDescriptorType=5, bEndpointAddress=(0x81, 0x01)[ep], bmAttributes=2,
            wMaxPacketSize=64, bInterval=0, bRefresh=0, bSynchAddress=0, extra_descriptors=[],
        )  # fmt: skip

    def open_device(self, dev: Any) -> Any:
        return dev

    def close_device(self, dev_handle: Any) -> None:
        del dev_handle

    def set_configuration(self, dev_handle: Any, config_value: int) -> None:
        del dev_handle, config_value

    def get_configuration(self, dev_handle: Any) -> int:
        del dev_handle
        return 1

    def claim_interface(self, dev_handle: Any, intf: int) -> None:
        del dev_handle, intf

    def release_interface(self, dev_handle: Any, intf: int) -> None:
        del dev_handle, intf

    def reset_device(self, dev_handle: Any) -> None:
        del dev_handle

    def detach_kernel_driver(self, dev_handle: Any, intf: int) -> None:
        del dev_handle, intf

    def ctrl_transfer(
        self,
        dev_handle: Any,
        kind: int,
        request: int,
        value: int,
        index: int,
        data: Any,
        timeout: int,
    ) -> int:
        del dev_handle, timeout
        if kind == 0xC0:
            data[:] = array("B", struct.pack("<I", VALUES.get(index & 0xFF, 0)))
            return 4
        if request == 2:
            self.starts += 1
        elif request == 1 and index & 0xFF == SET_VOLTAGE:
            self.volts_set.append((value | (index >> 8) << 16) / 1048576)
        return len(data)

    def bulk_read(self, dev_handle: Any, ep: int, intf: int, buff: Any, timeout: int) -> int:
        del dev_handle, ep, intf, timeout
        if self.fail_after is not None and self.packets >= self.fail_after:
            raise usb.core.USBError("device disconnected", errno=19)
        kinds = (0x10, 0x30, 0x00) if self.packets < 5 else (0x00, 0x00, 0x00)
        if self.drop_every and self.packets and self.packets % self.drop_every == 0:
            self.dropped += 1
        sent = packet([sample(k, self.milliamperes, self.volts) for k in kinds], self.dropped)
        self.packets += 1
        time.sleep(2e-4)
        buff[:] = array("B", sent)
        return len(sent)
