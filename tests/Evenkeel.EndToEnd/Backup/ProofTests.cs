using System.Text.Json;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Repair, restore tests, alarms: what makes a backup one that can be counted on.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared")]
public sealed class ProofTests : IDisposable
{
    private readonly Workplace _place = new();

    [Fact]
    public void Repair_OfADamagedIndex_FindsEveryPackAgain()
    {
        _place.Evenkeel("init");
        _place.Shell($"seq 1 1000 > {_place.Source}/file");
        _place.Evenkeel("run", _place.Source);
        _place.Shell($"printf XXXX | dd of=$(ls {_place.Repository}/index/*) bs=1 seek=40 conv=notrunc status=none");
        Assert.NotEqual(0, _place.TryRun("restic", ["-r", _place.Repository, "--no-cache", "check"]).Code);
        var repaired = _place.Evenkeel("repair");
        Assert.Contains("1 damaged file(s) replaced, 2 pack(s) found again", repaired, StringComparison.Ordinal);
        Assert.Contains("nothing is lost", repaired, StringComparison.Ordinal);
        _place.Restic("check", "--read-data");
    }

    [Fact]
    public void Repair_OfADamagedPack_SavesWhatIsSound_AndTheNextFullBackupMendsTheRest()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; for i in 1 2 3 4; do head -c 700000 /dev/urandom > file$i; done");
        _place.Evenkeel("run", _place.Source);
        var pack = _place.Shell($"find {_place.Repository}/data -type f -size +900k").Trim();
        _place.Shell($"printf XXXX | dd of={pack} bs=1 seek=1000 conv=notrunc status=none");

        var repaired = _place.TryEvenkeel("repair", "--read-all");
        Assert.Equal(1, repaired.Code);
        Assert.Contains("1 damaged, of which", repaired.Output, StringComparison.Ordinal);
        Assert.Contains("1 lost", repaired.Output, StringComparison.Ordinal);
        Assert.Single(repaired.Error.Split('\n'), l => l.Contains("the file is lost", StringComparison.Ordinal));
        Assert.Equal(1, _place.TryEvenkeel("verify", "--all").Code);

        _place.Evenkeel("run", "--type", "full", _place.Source);
        Assert.Contains("no problem found", _place.Evenkeel("verify", "--all"), StringComparison.Ordinal);
        _place.Restic("check", "--read-data");
    }

    [Fact]
    public void RestoreTest_StartsAndAsksWhatItRestored_RecordsIt_AndLeavesNothing()
    {
        _place.Evenkeel("init");
        _place.Shell($"echo 'the answer' > {_place.Source}/data; echo 'tail -f /dev/null | cat' > {_place.Source}/serve");
        _place.Evenkeel("run", _place.Source);
        var directory = Directory.CreateDirectory(_place.Root + "/sandboxes").FullName;
        var passed = _place.Evenkeel("restore-test", "latest", "--directory", directory,
            "--start", "(sleep 0.5; cp data answered); sh serve", "--query", "grep answer answered && test $(ip -o link | wc -l) = 1");
        Assert.Contains("Passed: the answer", passed, StringComparison.Ordinal);
        Assert.Contains("restored ", _place.Evenkeel("list"), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory));
        Assert.Equal("", _place.Shell($"find /proc -maxdepth 2 -name cwd -lname '{directory}*' 2>/dev/null || true"));

        var failed = _place.TryEvenkeel("restore-test", "latest", "--directory", directory, "--query", "grep nothing data");
        Assert.Equal(1, failed.Code);
        Assert.Contains("the query failed", failed.Error, StringComparison.Ordinal);
        Assert.Contains("FAILED", _place.Evenkeel("list"), StringComparison.Ordinal);
        var never = _place.TryEvenkeel("restore-test", "latest", "--directory", directory, "--start", "sleep 100", "--query", "false", "--timeout", "2");
        Assert.Contains("within 2 s", never.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void FilesEncryptedByRansomware_RaiseAnAlarm_ThatHoldsRetentionUntilAccepted()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; for i in $(seq 1 60); do seq $i $((i + 8000)) > file$i; done");
        for (var day = 0; day < 3; day++)
        {
            _place.Shell($"echo {day} >> {_place.Source}/file{day + 1}");
            Assert.DoesNotContain("ALARM", _place.TryEvenkeel("run", _place.Source).Error, StringComparison.Ordinal);
        }
        _place.Shell($"cd {_place.Source}; for i in $(seq 1 60); do openssl enc -aes-256-ctr -pass pass:x -pbkdf2 -in file$i -out file$i.locked; rm file$i; done");
        var attacked = _place.TryEvenkeel("run", _place.Source);
        Assert.Contains("ALARM", attacked.Error, StringComparison.Ordinal);
        Assert.Contains("does not compress", attacked.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("remove", _place.Evenkeel("forget", "--keep-last", "1"), StringComparison.Ordinal);

        var id = JsonDocument.Parse(_place.Evenkeel("list", "-o", "json")).RootElement[3].GetProperty("id").GetString()!;
        _place.Evenkeel("accept", id);
        Assert.Equal(3, _place.Evenkeel("forget", "--keep-last", "1").Split('\n').Count(l => l.StartsWith("remove", StringComparison.Ordinal)));
        _place.Restic("check");
    }

    [Fact]
    public void Score_GrowsWithEachCopyAndProof()
    {
        _place.Evenkeel("init");
        _place.Shell($"echo x > {_place.Source}/x");
        _place.Evenkeel("run", _place.Source);
        using var server = new ServerProcess(_place.Root + "/served", "--no-password", "--append-only");
        var far = server.Place("far");
        _place.Run(BackupProgram.Path, ["backup", "init", "--repository", far]);
        Assert.Contains("0 of 5", _place.TryRun(BackupProgram.Path, ["backup", "score", _place.Repository]).Output, StringComparison.Ordinal);

        _place.Run(BackupProgram.Path, ["backup", "run", _place.Source, "--repository", far]);
        var unproven = _place.TryRun(BackupProgram.Path, ["backup", "score", _place.Repository, far + ",offsite,immutable"]);
        Assert.Equal(1, unproven.Code);
        Assert.Contains("4 of 5", unproven.Output, StringComparison.Ordinal);
        _place.Evenkeel("verify", "--all");
        _place.Run(BackupProgram.Path, ["backup", "verify", "--repository", far]);
        Assert.Contains("5 of 5", _place.Run(BackupProgram.Path, ["backup", "score", _place.Repository, far + ",offsite,immutable"]), StringComparison.Ordinal);
    }

    public void Dispose() => _place.Dispose();
}
