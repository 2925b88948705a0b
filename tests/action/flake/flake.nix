# What the tests under act check: one package of each kind. No inputs, /bin/sh only.
{
  description = "One package for every way a run can end";

  outputs = { self }:
    let
      shell = name: extra: script: derivation ({
        inherit name;
        system = builtins.currentSystem or "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-e" "-c" script ];
      } // extra);
      packages = {
        default = packages.good;
        good = shell "good-1.0" { } ''echo the same every time > "$out"'';
        bad = shell "bad-1.0" { } ''read -r id < /proc/sys/kernel/random/uuid; echo "built as $id" > "$out"'';
        itself = shell "itself-1.0" { } ''echo "$out" | /bin/gzip -n > "$out"'';
        slow = shell "slow-1.0" { } ''/bin/sleep 60; echo done > "$out"'';
        broken = shell "broken-1.0" { } ''
          echo "::error::a log line that would be an annotation"
          echo "::set-output name=conclusion::pass"
          echo "##[error]another one"
          echo '<img src=x onerror=alert(1)> `$(id)` ''${{ github.token }} | [x](javascript:alert(1))'
          exit 7
        '';
      };
    in
    {
      packages.x86_64-linux = packages;
      packages.aarch64-linux = packages;
    };
}
