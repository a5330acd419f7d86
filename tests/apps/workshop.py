"""Packages made by the Android tools and a cross compiler: real ones, if small."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
TOOLS = ("aapt", "aapt2", "smali", "zipalign", "apksigner", "keytool", "aarch64-linux-gnu-gcc")


def run(*command: str | Path, folder: Path | None = None) -> str:
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    return done.stdout


def _c_text(text: str) -> str:
    """A C literal; everything unusual as three octal digits."""
    return '"' + "".join(c if c.isalnum() else f"\\{ord(c):03o}" for c in text) + '"'


def missing_tools() -> list[str]:
    """What has to be installed before a workshop can open."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return missing if FRAMEWORK.exists() else [*missing, str(FRAMEWORK)]


@dataclass(slots=True)
class Workshop:
    """Builds packages; a key and a library are made once."""

    folder: Path
    made: dict[str, Path] = field(default_factory=dict)

    def library(self, name: str, *constants: str, symbols: Iterable[str] = ()) -> Path:
        """A stripped library for 64-bit Arm that exports the symbols and holds the constants."""
        lines = [
            f"__attribute__((used)) static const char text{i}[] = {_c_text(text)};"
            for i, text in enumerate(constants)
        ]
        lines += [f"void {symbol}(void) {{}}" for symbol in symbols]
        source = self.folder / f"{name}.c"
        source.write_text("\n".join([*lines, "int anything;"]))
        target = self.folder / f"{name}.so"
        run("aarch64-linux-gnu-gcc", "-shared", "-fPIC", "-nostdlib", "-s", "-o", target, source)
        return target

    def build(
        self,
        name: str,
        *,
        manifest: str = "",
        smali: str = "",
        files: Mapping[str, Path] | None = None,
        attributes: str = "",
        permissions: Iterable[str] = (),
        label: str = "@string/app_name",
    ) -> Path:
        """An unsigned, aligned APK."""
        place = self.folder / name
        (place / "res" / "values").mkdir(parents=True)
        (place / "res" / "values" / "s.xml").write_text(
            f'<resources><string name="app_name">App {name}</string></resources>'
        )
        (place / "res" / "values-de").mkdir()
        (place / "res" / "values-de" / "s.xml").write_text(
            '<resources><string name="app_name">Anwendung</string></resources>'
        )
        (place / "AndroidManifest.xml").write_text(
            '<manifest xmlns:android="http://schemas.android.com/apk/res/android" '
            f'package="org.example.{name}" android:versionCode="42" android:versionName="4.2" '
            f'{attributes}><uses-sdk android:minSdkVersion="24" android:targetSdkVersion="34"/>'
            '<uses-permission android:name="android.permission.CAMERA"/>'
            f'{"".join(f"""<uses-permission android:name="{p}"/>""" for p in permissions)}'
            '<uses-feature android:name="android.hardware.camera"/>'
            f'<application android:label="{label}">{manifest}</application></manifest>'
        )
        run("aapt2", "compile", "--dir", "res", "-o", "res.zip", folder=place)
        link = ("aapt2", "link", "-I", FRAMEWORK, "--manifest", "AndroidManifest.xml")
        run(*link, "--warn-manifest-validation", "-o", "base.apk", "res.zip", folder=place)
        members: list[str] = []
        if smali:
            (place / "code.smali").write_text(smali)
            run("smali", "assemble", "code.smali", "-o", "classes.dex", folder=place)
            members.append("classes.dex")
        for member, source in (files or {}).items():
            (place / member).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place / member)
            members.append(member)
        if members:
            run("aapt", "add", "base.apk", *members, folder=place)
        run("zipalign", "-f", "-p", "4", "base.apk", "out.apk", folder=place)
        return place / "out.apk"

    def sign(self, package: Path, name: str, *options: str) -> Path:
        key = self.folder / "key.jks"
        if not key.exists():
            run(
                *("keytool", "-genkeypair", "-keystore", key, "-storepass", "android"),
                *("-keypass", "android", "-alias", "a", "-keyalg", "RSA", "-keysize", "2048"),
                *("-validity", "10000", "-dname", "CN=t"),
            )
        target = self.folder / name
        secret = ("--ks", key, "--ks-pass", "pass:android")
        run("apksigner", "sign", *secret, *options, "--out", target, package)
        return target
