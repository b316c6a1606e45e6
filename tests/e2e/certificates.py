# SPDX-License-Identifier: MIT
"""certificates -- certificates for 127.0.0.1 and localhost, made on the spot."""
import subprocess


def certificate(folder, name="cert"):
    """Make a certificate that vouches for itself; returns the files of it and of its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
                   check=True, capture_output=True)
    return cert, key
