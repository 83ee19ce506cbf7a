"""Makes a wheel without any build tool."""

import base64
import hashlib
import zipfile


def make_wheel(folder, name="parcel-1.0-py3-none-any.whl", files=None):
    """Writes the wheel of a package `parcel`; files: path -> text."""
    files = dict(files or {"parcel/__init__.py": "WEIGHT = 3\n"})
    files["parcel-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n"
    files["parcel-1.0.dist-info/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text.encode())}")
    files["parcel-1.0.dist-info/RECORD"] = "\n".join(lines + ["parcel-1.0.dist-info/RECORD,,"]) + "\n"
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return folder / name
