# nix-repro, for `callPackage` of nixpkgs.
{ lib, stdenv, python3Packages, fetchPypi, gitMinimal, util-linux }:

let
  # What the wheel is made from, and nothing else: a change of the tests or documents rebuilds nothing. The README is only its description.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [ ../src ../fixtures/demo ../share ../pyproject.toml ../LICENSE ];
  };

  version = builtins.head (builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ../src/nix_repro/__init__.py));

  # Not in nixpkgs. The wheel that requirements.lock names, too.
  actions-toolkit = python3Packages.buildPythonPackage rec {
    pname = "actions-toolkit";
    version = "0.1.15";
    format = "wheel";
    src = fetchPypi {
      inherit version format;
      pname = "actions_toolkit";
      dist = "py3";
      python = "py3";
      hash = "sha256-/bfrL31ibj69z7Z370hMr33mRf6If7rl5axrC0t8qNw=";
    };
    dependencies = with python3Packages; [ pygithub requests ];
    pythonImportsCheck = [ "actions_toolkit" ];
  };

  dependencies = with python3Packages; [
    actions-toolkit
    click
    jinja2
    jq
    msgspec
    pygithub
    pyyaml
    requests
    rich
    zstandard
  ];
in
python3Packages.buildPythonApplication {
  pname = "nix-repro";
  inherit version src dependencies;
  pyproject = true;
  build-system = [ python3Packages.hatchling ];
  postPatch = "touch README.md";

  # Nix is the user's own, which knows their store. What else is started comes after what they have.
  makeWrapperArgs = [
    "--suffix"
    "PATH"
    ":"
    (lib.makeBinPath ([ gitMinimal ] ++ lib.optional stdenv.hostPlatform.isLinux util-linux))
  ];

  # The suite wants a Nix, and mounts: bin/test runs it.
  doCheck = false;
  pythonImportsCheck = [ "nix_repro.cli.app" "nix_repro.cli.action" ];

  passthru = { inherit dependencies; };

  meta = {
    description = "Builds a Nix flake twice, compares the narHash of every output, and explains every difference";
    homepage = "https://github.com/org/nix-repro-action";
    license = lib.licenses.mit;
    mainProgram = "nix-repro";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
