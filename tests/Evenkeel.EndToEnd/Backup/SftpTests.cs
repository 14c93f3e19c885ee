using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>OpenSSH's own server on loopback.</summary>
[Trait("peer", "openssh"), Trait("Machine", "shared"), Trait("Turn", "3")]
public sealed class SftpTests : IDisposable
{
    private const int Port = 22022;
    private readonly Workplace _place = new();
    private readonly Process _server;

    public SftpTests()
    {
        _place.Shell($"""
            mkdir -p /run/sshd; cd {_place.Root}; mkdir remote
            ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f user; cp user.pub authorized; chmod 600 authorized
            echo "[127.0.0.1]:{Port} $(cat host.pub)" > known; : > strangers
            cat > sshd.conf <<END
            Port {Port}
            ListenAddress 127.0.0.1
            HostKey {_place.Root}/host
            AuthorizedKeysFile {_place.Root}/authorized
            StrictModes no
            UsePAM no
            PidFile none
            Subsystem sftp internal-sftp
            END
            for known in known strangers; do
            printf '#!/bin/sh\nexec ssh -F /dev/null -i {_place.Root}/user -o StrictHostKeyChecking=yes -o UserKnownHostsFile={_place.Root}/%s "$@"\n' $known > ssh-$known; chmod +x ssh-$known
            done
            """);
        _server = Process.Start(new ProcessStartInfo("/usr/sbin/sshd", ["-D", "-e", "-f", _place.Root + "/sshd.conf"]) { RedirectStandardError = true })!;
        for (var line = _server.StandardError.ReadLine(); line?.Contains("listening", StringComparison.Ordinal) == false;)
        {
            line = _server.StandardError.ReadLine();
        }
        _ = _server.StandardError.ReadToEndAsync();
    }

    [Fact]
    public void Repository_OverSftp_IsSharedWithRestic()
    {
        SourceSample.Make(_place);
        Assert.Equal(0, Ours("ssh-known", "init").Code);
        var run = Ours("ssh-known", "run", _place.Source);
        Assert.True(run.Code == 0, run.Error);
        Restic("check", "--read-data");
        Restic("backup", _place.Source);
        Restic("forget", "--keep-last", "1", "--prune");
        var verify = Ours("ssh-known", "verify", "--all");
        Assert.True(verify.Output.Contains("no problem found", StringComparison.Ordinal), verify.Error);
        Assert.Equal(0, Ours("ssh-known", "restore", "latest", "--target", _place.Root + "/out").Code);
        Assert.Equal(SourceSample.Describe(_place, _place.Source), SourceSample.Describe(_place, _place.Root + "/out" + _place.Source));
        Assert.Equal("", _place.Shell($"find {_place.Root}/remote -name '*tmp*'"));
    }

    [Fact]
    public void UnknownHostKey_IsRefusedInSshsWords()
    {
        var refused = Ours("ssh-strangers", "list");
        Assert.Equal(1, refused.Code);
        Assert.Contains("Host key verification failed", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", refused.Error, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _server.Kill(entireProcessTree: true);
        _server.WaitForExit();
        _server.Dispose();
        _place.Dispose();
    }

    private (int Code, string Output, string Error) Ours(string ssh, string command, params string[] arguments) => _place.TryRun("env",
        [$"EVENKEEL_BACKUP_SSH={_place.Root}/{ssh}", BackupProgram.Path, "backup", command, .. arguments, "--repository", $"sftp://root@127.0.0.1:{Port}/{_place.Root}/remote/files"]);

    private void Restic(params string[] arguments) => _place.Run("restic",
        ["-o", $"sftp.command={_place.Root}/ssh-known -p {Port} root@127.0.0.1 -s sftp", "-r", $"sftp:root@127.0.0.1:{_place.Root}/remote/files", "--no-cache", .. arguments]);
}
