# What one works on nix-repro with. `pytest tests/unit` and the linters run in it; the tests on real Nix want Debian (bin/test).
{ mkShell, python3, ruff, shellcheck, actionlint, zizmor, uv, nix-repro }:

mkShell {
  packages = [
    (python3.withPackages (packages: nix-repro.dependencies ++ (with packages; [
      check-jsonschema
      cmarkgfm
      hypothesis
      jsonschema
      mypy
      pytest
      pytest-cov
      pytest-mock
      pytest-xdist
      types-jsonschema
      types-pyyaml
      types-requests
    ])))
    ruff
    shellcheck
    actionlint
    zizmor
    uv
  ];
}
