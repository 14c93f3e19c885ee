using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>
/// PostgreSQL 17 of the next Debian, beside this one's: its packages with the libraries that they need, unpacked into a directory, and a
/// starter for each program that runs it with those. Nothing is installed and no root is changed: what a server starts (its archive_command) is this machine's.
/// </summary>
public sealed class PostgreSql17 : IAsyncLifetime
{
    private readonly string _root = Directory.CreateTempSubdirectory("ek-pg17-").FullName;

    /// <summary>Where its programs are.</summary>
    public string Programs => _root + "/usr/lib/postgresql/17/bin";

    public async ValueTask InitializeAsync()
    {
        var stop = TestContext.Current.CancellationToken;
        var mirror = (await SystemCommand.RunAsync(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], stop)).Split('\n')[0];
        // The first half alone: it fetches what there is to install.
        await SystemCommand.RunAsync(["debootstrap", "--foreign", "--variant=minbase", "--include=postgresql-17", "trixie", _root, mirror], stop);
        await SystemCommand.RunAsync(["bash", "-euc", $$"""
            cd {{_root}}
            chmod 755 .
            # Those that the other packages need to be unpacked are in their places already, and out of the cache.
            for package in var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" .; done
            rm -rf var/cache/apt/archives
            loader=$(echo {{_root}}/usr/lib/*-linux-gnu/ld-linux-*.so.*)
            mkdir usr/lib/postgresql/17/programs
            for program in usr/lib/postgresql/17/bin/*; do
                real=usr/lib/postgresql/17/programs/${program##*/}
                mv "$program" "$real"
                # They find their other files by the name that they were started by.
                printf '#!/bin/sh\nexec %s --library-path %s --argv0 "$0" %s "$@"\n' "$loader" "${loader%/*}" "{{_root}}/$real" > "$program"
                chmod 755 "$program"
            done
            """], stop);
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_root, recursive: true);
        return ValueTask.CompletedTask;
    }
}
