#!/usr/bin/env bash
# Says which Debian packages are missing, and installs them when run as root on Debian or Ubuntu.
# Elsewhere it only says what is needed: nothing but the compiler and libseccomp is required.
# With the word `slow` also what the test of a booted machine takes (about 400 MB; `make slow`).
set -euo pipefail

# command or library : package : what for
needs=(
  "g++:g++:building the native kernels"
  "libseccomp.so.2:libseccomp2:confining the enclave worker and the script compiler"
  "valgrind:valgrind:proving that kernels are oblivious (optional)"
  "objdump:binutils:the same (comes with the compiler)"
  "java:openjdk-17-jre-headless:tests of the Spark backend (optional)"
  "swtpm:swtpm:tests of measured boot (optional)"
  "swtpm_setup:swtpm-tools:tests of measured boot (optional)"
  "/usr/lib/postgresql/*/bin/initdb:postgresql:tests of reading from PostgreSQL (optional)"
)
if [[ ${1:-} == slow ]]; then
  needs+=(
    "aarch64-linux-gnu-g++:g++-aarch64-linux-gnu:kernels of another processor (optional)"
    "qemu-aarch64:qemu-user:running them (optional)"
    "qemu-system-x86_64:qemu-system-x86:booting a machine in the slow tests (optional)"
    "/usr/share/OVMF/OVMF_CODE_4M.fd:ovmf:its firmware (optional)"
    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub:systemd-boot-efi:its boot stub (optional)"
    "/boot/vmlinuz-*-cloud-amd64:linux-image-cloud-amd64:its kernel (optional)"
    "mcopy:mtools:its disk (optional)"
  )
fi

missing=()
for need in "${needs[@]}"; do
  IFS=: read -r what package reason <<<"$need"
  if [[ $what == /* ]]; then
    compgen -G "$what" >/dev/null && continue
  elif [[ $what == *.so.* ]]; then
    /sbin/ldconfig -p 2>/dev/null | grep -q "$what" && continue
  else
    command -v "$what" >/dev/null && continue
  fi
  missing+=("$package")
  echo "missing: $package ($reason)" >&2
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
  echo "installing: ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "please install them, for instance: sudo apt-get install ${missing[*]}" >&2
  for required in g++ libseccomp2; do
    for package in "${missing[@]}"; do [[ $package == "$required" ]] && exit 1; done
  done
  exit 0
fi
