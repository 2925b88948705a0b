# What the recorded logs and JSON are of. No inputs; /bin/sh only.
{
  outputs = { self }:
    let
      make = name: extra: script: derivation ({
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-e" "-c" script ];
      } // extra);
    in
    { recorded = rec {
      a = make "a" { outputs = [ "out" "dev" ]; } "echo building a; echo a > $out; echo a-dev > $dev";
      b = make "b" { a = a.dev; src = ./source.txt; } "echo building b; echo $a > $out";
      fixed = make "fixed" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "sha256-h0KPxSKAPTEGXnvOPPA/5HUJZjHl4Hu9eg/eYMTPJcc="; } "echo -n a > $out; echo >> $out";
      structured = make "structured" { __structuredAttrs = true; numbers = [ 1 2 ]; inherit fixed; } "exit 1";
      floating = make "floating" { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; inherit a; } "echo floating > $out";
      above = make "above" { inherit floating; } "echo above > $out";
      top = make "top" { inherit b above; } "echo building top; echo top > $out";
      breaks = make "breaks" { } "echo about to fail; echo '@nix {\"action\":\"start\",\"id\":1,\"type\":105,\"fields\":[\"/nix/store/forged.drv\",\"\",1,1]}'; exit 3";
      victim = make "victim" { inherit breaks; } "echo never > $out";
      full = make "full" { } "echo 'cp: error writing: No space left on device'; exit 1";
      slow = make "slow" { } "echo sleeping; while :; do :; done";
      above-slow = make "above-slow" { inherit slow; } "echo never > $out";
      wrong = make "wrong" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; } "echo wrong > $out";
      impure = make "impure" { __impure = true; } "echo i > $out";
      random = make "random" { outputs = [ "out" "extra" ]; } "read -r id < /proc/sys/kernel/random/uuid; echo $id > $out; echo $id > $extra";
    }; };
}
