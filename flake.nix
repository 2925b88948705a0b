# The Nix way to nix-repro: `nix run github:org/nix-repro-action -- check`, and parts for other flakes. README.md, "With Nix".
{
  description = "Builds a Nix flake twice, compares the narHash of every output, and explains every difference";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      eachSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      package = pkgs: self.packages.${pkgs.stdenv.hostPlatform.system}.default;
    in
    {
      packages = eachSystem (pkgs: rec {
        nix-repro = pkgs.callPackage ./nix/package.nix { };
        default = nix-repro;
      });

      apps = eachSystem (pkgs: {
        default = {
          type = "app";
          program = lib.getExe (package pkgs);
          meta.description = "The command nix-repro";
        };
      });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { nix-repro = package pkgs; };
      });

      # That it builds, that its modules can be imported, and that the programs it wraps start.
      checks = eachSystem (pkgs: { default = package pkgs; });

      lib = {
        # An app that runs `nix-repro check ARGUMENTS`, for the `apps` of another flake: its users type `nix run .#repro`, with the
        # nix-repro that its flake.lock names. What they add (`nix run .#repro -- --rounds 3`) comes after `arguments`.
        app = { system, arguments ? [ ] }:
          let pkgs = nixpkgs.legacyPackages.${system}; in
          {
            type = "app";
            program = lib.getExe (pkgs.writeShellScriptBin "repro" ''
              exec ${lib.getExe (package pkgs)} check ${lib.escapeShellArgs arguments} "$@"
            '');
            meta.description = "Builds this flake twice and compares";
          };
      };

      flakeModules.default = import ./nix/flake-module.nix { nix-repro = self; };
    };
}
