using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>What goes wrong in practice, done to a real repository; restic confirms what is left.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared")]
public sealed class FaultTests : IDisposable
{
    private readonly Workplace _place = new();

    [Fact]
    public void Run_KilledAtRandomMoments_LeavesASoundRepositoryThatTheNextRunCompletes()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; for i in 1 2 3; do head -c 20000000 /dev/urandom > big$i; done; for i in $(seq 1 100); do echo $i > small$i; done");
        var random = new Random(20260102);
        for (var i = 0; i < 3; i++)
        {
            Kill(TimeSpan.FromMilliseconds(random.Next(300, 1500)), "run", _place.Source);
            // The killed program's lock is still there. restic's check refuses every lock, so a user unlocks first; that only
            // removes locks whose process is gone.
            _place.Restic("unlock");
            _place.Restic("check");
        }
        _place.Evenkeel("run", _place.Source);
        _place.Restic("check", "--read-data");
        _place.Restic("restore", "latest", "--target", _place.Root + "/out");
        _place.Shell($"diff -r {_place.Source} {_place.Root}/out{_place.Source}");
    }

    [Fact]
    public void Prune_KilledAtRandomMoments_LosesNothing()
    {
        _place.Evenkeel("init");
        var random = new Random(20260103);
        for (var round = 0; round < 3; round++)
        {
            // Small and large files whose packs are half needed afterwards.
            _place.Shell($"cd {_place.Source}; rm -f old*; head -c 9000000 /dev/urandom > old{round}; for i in $(seq 1 40); do head -c 100000 /dev/urandom > keep{round}_$i; done");
            _place.Evenkeel("run", _place.Source);
            _place.Evenkeel("forget", "--keep-last", "1");
            Kill(TimeSpan.FromMilliseconds(random.Next(300, 1500)), "prune");
            Assert.Contains("no problem found", _place.Evenkeel("verify", "--all"), StringComparison.Ordinal);
        }
        _place.Evenkeel("prune");
        _place.Restic("check", "--read-data");
        _place.Restic("restore", "latest", "--target", _place.Root + "/out");
        _place.Shell($"diff -r {_place.Source} {_place.Root}/out{_place.Source}");
    }

    [Fact]
    public void Run_TwoWritersAtOnce_BothSnapshotsAreWhole()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; mkdir a b; for i in 1 2 3; do head -c 10000000 /dev/urandom > a/$i; cp a/$i b/$i; done");
        Parallel.Invoke(() => _place.Evenkeel("run", _place.Source + "/a"), () => _place.Evenkeel("run", _place.Source + "/b"));
        _place.Restic("check", "--read-data");
        Assert.Equal(3, _place.Evenkeel("list").Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public void DamagedPack_Verified_NamesTheFilesThatAreLostAndRestoresTheOthers()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; head -c 1000000 /dev/urandom > first");
        _place.Evenkeel("run", _place.Source);
        var pack = _place.Shell($"find {_place.Repository}/data -type f -size +900k").Trim();
        _place.Shell($"cd {_place.Source}; head -c 1000000 /dev/urandom > second");
        _place.Evenkeel("run", _place.Source);
        _place.Shell($"printf XXXX | dd of={pack} bs=1 seek=500000 conv=notrunc status=none");

        var verified = _place.TryEvenkeel("verify", "--all");
        Assert.Equal(1, verified.Code);
        Assert.Contains($"{_place.Source}/first: the file is lost", verified.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("/second: the file is lost", verified.Error, StringComparison.Ordinal);

        var restored = _place.TryEvenkeel("restore", "latest", "--target", _place.Root + "/out");
        Assert.Equal(1, restored.Code);
        _place.Shell($"cmp {_place.Source}/second {_place.Root}/out{_place.Source}/second; test ! -e {_place.Root}/out{_place.Source}/first");
    }

    [Fact]
    public void DamagedIndex_IsReportedAndWhatItListedIsBackedUpAgain()
    {
        _place.Evenkeel("init");
        _place.Shell($"echo content > {_place.Source}/file");
        _place.Evenkeel("run", _place.Source);
        _place.Shell($"printf XXXX | dd of=$(ls {_place.Repository}/index/*) bs=1 seek=40 conv=notrunc status=none");
        Assert.Equal(1, _place.TryEvenkeel("verify").Code);
        Assert.Equal(1, _place.TryEvenkeel("prune").Code);
        Assert.Contains("is damaged", _place.TryEvenkeel("run", _place.Source).Error, StringComparison.Ordinal);
        _place.Evenkeel("restore", "latest", "--target", _place.Root + "/out");
        Assert.Equal("content\n", File.ReadAllText($"{_place.Root}/out{_place.Source}/file"));
    }

    [Fact]
    public void DiskFull_FailsPlainly_AndWhatWasThereStaysSound()
    {
        Directory.CreateDirectory(_place.Repository);
        _place.Shell($"mount -t tmpfs -o size=30M none {_place.Repository}");
        try
        {
            _place.Evenkeel("init");
            _place.Shell($"head -c 1000000 /dev/urandom > {_place.Source}/small");
            _place.Evenkeel("run", _place.Source);
            _place.Shell($"head -c 60000000 /dev/urandom > {_place.Source}/large");
            var full = _place.TryEvenkeel("run", _place.Source);
            Assert.Equal(1, full.Code);
            Assert.Contains("No space left", full.Error, StringComparison.Ordinal);
            Assert.Contains("no problem found", _place.Evenkeel("verify", "--all"), StringComparison.Ordinal);
        }
        finally
        {
            _place.Shell($"umount {_place.Repository}");
        }
    }

    [Fact]
    public void ResticAtWork_KeepsPruneOutAndBackupsIn()
    {
        _place.Evenkeel("init");
        _place.Shell($"echo x > {_place.Source}/x");
        // Restic's lock while it runs: a backup whose input stays open.
        using var restic = Process.Start(new ProcessStartInfo("restic", ["-r", _place.Repository, "--no-cache", "backup", "--stdin"])
        {
            Environment = { ["RESTIC_PASSWORD"] = Workplace.Password }, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        try
        {
            Assert.True(SpinWait.SpinUntil(
                () => Directory.GetFiles(_place.Repository + "/locks").Any(f => Path.GetFileName(f).Length == 64), TimeSpan.FromSeconds(20)), "restic took no lock");
            Assert.Equal(4, _place.TryEvenkeel("prune").Code);
            Assert.Equal(0, _place.TryEvenkeel("run", _place.Source).Code);
        }
        finally
        {
            restic.Kill();
            restic.WaitForExit();
        }
    }

    [Fact]
    public void UnreadableAndVanishingFiles_AreReported_AndTheRestIsBackedUp()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; echo good > good; echo x > growing");
        _place.Shell($"cd {_place.Source}; (for i in $(seq 1 3000); do echo $i >> growing; : > v$i; rm v$i; done) & {BackupProgram.Path} backup run {_place.Source} --repository {_place.Repository}; wait");
        _place.Restic("check", "--read-data");
        // /proc/1/mem can be opened and not read at offset 0: a read error in the middle of a backup.
        var failed = _place.TryEvenkeel("run", _place.Source, "/proc/1/mem");
        Assert.Equal(1, failed.Code);
        Assert.Contains("snapshot", failed.Error, StringComparison.Ordinal);
        _place.Evenkeel("restore", "latest", "--path", _place.Source + "/good", "--target", _place.Root + "/out");
        Assert.Equal("good\n", File.ReadAllText($"{_place.Root}/out{_place.Source}/good"));
    }

    public void Dispose() => _place.Dispose();

    private void Kill(TimeSpan after, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(BackupProgram.Path, ["backup", .. arguments, "--repository", _place.Repository])
        {
            Environment = { ["EVENKEEL_BACKUP_PASSWORD"] = Workplace.Password }, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        if (!process.WaitForExit(after))
        {
            process.Kill();
            process.WaitForExit();
        }
    }
}
