# A module for flakes that are made with flake-parts: it adds the app `repro`, which runs `nix-repro check`.
{ nix-repro }:
{ lib, flake-parts-lib, ... }:
{
  options.perSystem = flake-parts-lib.mkPerSystemOption ({ config, system, ... }: {
    options.nix-repro.arguments = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ ".#default" "--rounds" "3" ];
      description = "What `nix run .#repro` gives to `nix-repro check`: installables and options. A .nix-repro.yml beside the flake counts, too.";
    };
    config.apps.repro = nix-repro.lib.app {
      inherit system;
      inherit (config.nix-repro) arguments;
    };
  });
}
