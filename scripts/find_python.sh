#!/bin/sh
# Print the first Python that can carry tenstep: 3.11 or newer, with venv and pip. The tested 3.11 is tried first.
for python in ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14}; do
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$python" && exit
    fi
done
echo "tenstep needs Python 3.11 or newer with the venv module; tried: ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14}." >&2
echo "Debian: apt-get install python3 python3-venv. Elsewhere: make setup PYTHON=/path/to/python3.11" >&2
exit 1
