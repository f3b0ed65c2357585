# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environment variables our child processes get: a list of what may pass, and nothing else.

Blender's launchers set library paths and Python variables for Blender's own sake; in another interpreter they
load the wrong files, or a stranger's. What CUDA, Metal, the locale, proxies, home and temporary folders need,
passes. Values are never logged: they may hold access tokens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_PASS = re.compile(
    r"""
    PATH | HOME | USER | LOGNAME | LANG | LANGUAGE | LC_\w+ | TZ | TMPDIR | TEMP | TMP | XDG_\w+
    | (HTTP|HTTPS|ALL|NO)_PROXY | SSL_CERT_(FILE|DIR) | (REQUESTS_CA|CURL_CA)_BUNDLE
    | SYSTEMROOT | SYSTEMDRIVE | WINDIR | COMSPEC | PATHEXT | OS | NUMBER_OF_PROCESSORS | PROCESSOR_\w+
    | APPDATA | LOCALAPPDATA | PROGRAMDATA | PROGRAMFILES(\(X86\))? | PROGRAMW6432 | ALLUSERSPROFILE
    | USERPROFILE | USERNAME | USERDOMAIN | HOMEDRIVE | HOMEPATH | COMPUTERNAME
    | __CF_USER_TEXT_ENCODING | (MTL|METAL)_\w+
    | (CUDA|NVIDIA|NCCL|CUBLAS|CUDNN|HIP|ROCR|ROCM|HSA|GPU)_\w+
    | (OMP|KMP|MKL|OPENBLAS|VECLIB|PYTORCH)_\w+ | (HF|HUGGINGFACE)_\w+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PIP = re.compile("PIP_(INDEX_URL|EXTRA_INDEX_URL|CERT|CLIENT_CERT|PROXY|TRUSTED_HOST|CONFIG_FILE|CACHE_DIR)")


def clean_environment(
    source: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None, *, pip: bool = False
) -> dict[str, str]:
    """The variables of ``source`` (default: this process's) that may pass, then ``extra``.

    ``pip``: also the variables by which a studio points pip at its own mirror.
    """
    source = os.environ if source is None else source
    passed = {
        name: value
        for name, value in source.items()
        if _PASS.fullmatch(name) or (pip and _PIP.fullmatch(name.upper()))
    }
    # The interpreter ignores it under -I; what the worker starts in turn may not be isolated.
    return {**passed, "PYTHONNOUSERSITE": "1", **(extra or {})}
