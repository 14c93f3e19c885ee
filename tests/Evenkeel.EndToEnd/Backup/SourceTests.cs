using System.Text.Json;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>What of a source goes into a backup, and in which state.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared")]
public sealed class SourceTests : IDisposable
{
    private readonly Workplace _place = new();

    [Fact]
    public void FileSystemSnapshot_OfBtrfs_HasTheMomentOfTheFreeze_UnderTheOwnNames()
    {
        var disk = Directory.CreateDirectory(_place.Root + "/disk").FullName;
        _place.Shell($"truncate -s 300M {_place.Root}/image; mkfs.btrfs -q {_place.Root}/image; mount -o loop {_place.Root}/image {disk}; mkdir {disk}/data; echo one > {disk}/data/file; echo same > {disk}/data/same");
        try
        {
            _place.Evenkeel("init");
            _place.Evenkeel("run", disk + "/data", "--filesystem-snapshot", "btrfs");
            // Thawed at once: what is written after the snapshot, and before the files are read, is not in it.
            var run = _place.Evenkeel("run", disk + "/data", "--filesystem-snapshot", "btrfs",
                "--before", $"echo frozen > {disk}/data/file", "--after", $"echo thawed > {disk}/data/file; echo $EVENKEEL_BACKUP_RESULT > {_place.Root}/result");
            Assert.Contains("1 changed, 1 unmodified", run, StringComparison.Ordinal);
            Assert.Equal("ok\n", File.ReadAllText(_place.Root + "/result"));
            Assert.Equal("thawed\n", File.ReadAllText(disk + "/data/file"));
            Assert.Equal(["data"], Directory.GetFileSystemEntries(disk).Select(Path.GetFileName));
            _place.Restic("restore", "latest", "--target", _place.Root + "/out");
            Assert.Equal("frozen\n", File.ReadAllText(_place.Root + "/out" + disk + "/data/file"));

            var failed = _place.TryEvenkeel("run", disk + "/data", "--filesystem-snapshot", "btrfs", "--before", "exit 3");
            Assert.Equal(1, failed.Code);
            Assert.Equal(["data"], Directory.GetFileSystemEntries(disk).Select(Path.GetFileName));
        }
        finally
        {
            _place.Shell($"umount {disk}");
        }
        var elsewhere = _place.TryEvenkeel("run", _place.Source, "--filesystem-snapshot", "btrfs");
        Assert.Equal(1, elsewhere.Code);
        Assert.Contains("in no btrfs subvolume", elsewhere.Error, StringComparison.Ordinal);
        Assert.Equal(2, _place.TryEvenkeel("run", _place.Source, _place.Root, "--filesystem-snapshot", "btrfs").Code);
    }

    [Fact]
    public void Excludes_OneFileSystem_LeaveOutWhatTheySay()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; mkdir -p keep/deep cache other; echo a > keep/a; echo b > keep/deep/b.tmp; echo c > cache/c; echo '# comment' > {_place.Root}/rules; echo 'cache' >> {_place.Root}/rules; mount -t tmpfs none other; echo d > other/d");
        try
        {
            _place.Evenkeel("run", _place.Source, "--exclude", "*.tmp", "--exclude-file", _place.Root + "/rules", "--one-file-system");
        }
        finally
        {
            _place.Shell($"umount {_place.Source}/other");
        }
        Assert.Equal(["/keep", "/keep/a", "/keep/deep", "/other"], Paths(_place.Repository));
        Assert.Equal(2, _place.TryEvenkeel("run", _place.Source, "--exclude", "").Code);
        Assert.Equal(2, _place.TryEvenkeel("run", _place.Source, "--exclude-file", "/does/not/exist").Code);
    }

    [Fact]
    public void Independent_GoesToTheSecondRepository_AndSharesNothing()
    {
        _place.Evenkeel("init");
        _place.Shell($"head -c 3000000 /dev/urandom > {_place.Source}/file");
        _place.Evenkeel("run", _place.Source);
        var second = _place.Root + "/second";
        File.WriteAllText(_place.Root + "/password", Workplace.Password);
        _place.Run(BackupProgram.Path, ["backup", "init", "--repository", second]);
        string[] independent = ["--type", "independent", "--second-password-file", _place.Root + "/password", "--second-repository"];

        Assert.Contains("independent", _place.Evenkeel("run", [_place.Source, .. independent, second]), StringComparison.Ordinal);
        Assert.Contains("1 new, 0 changed, 0 unmodified", _place.Evenkeel("run", [_place.Source, .. independent, second]), StringComparison.Ordinal);
        Assert.Single(JsonDocument.Parse(_place.Evenkeel("list", "-o", "json")).RootElement.EnumerateArray());
        _place.Shell($"rm -rf {_place.Repository}");
        _place.Run("restic", ["-r", second, "--no-cache", "restore", "latest", "--target", _place.Root + "/out"]);
        _place.Shell($"cmp {_place.Source}/file {_place.Root}/out{_place.Source}/file");

        _place.Run(BackupProgram.Path, ["backup", "init", "--repository", _place.Repository]);
        var same = _place.TryEvenkeel("run", [_place.Source, .. independent, _place.Repository]);
        Assert.Equal(4, same.Code);
        Assert.Equal(2, _place.TryEvenkeel("run", _place.Source, "--type", "independent").Code);
    }

    [Fact]
    public async Task Schedule_WithoutACluster_MakesUpForWhatWasMissed_ThenWaits()
    {
        _place.Evenkeel("init");
        _place.Shell($"echo x > {_place.Source}/x");
        // The last backup was long before the last full hour.
        _place.Restic("backup", "--host", "here", "--time", "2020-01-01 10:00:00", _place.Source);
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(BackupProgram.Path,
            ["backup", "run", _place.Source, "--host", "here", "--schedule", "full=daily", "--schedule", "incremental=hourly", "--repository", _place.Repository])
        {
            Environment = { ["EVENKEEL_BACKUP_PASSWORD"] = Workplace.Password }, RedirectStandardOutput = true,
        })!;
        try
        {
            var token = TestContext.Current.CancellationToken;
            Assert.Contains(", full, ", await process.StandardOutput.ReadLineAsync(token).AsTask().WaitAsync(TimeSpan.FromSeconds(60), token), StringComparison.Ordinal);
            // Once for all that was missed: the hourly one is fulfilled by the full one, unless an hour just ended.
            Assert.False(process.WaitForExit(3000), "it did not stay");
            Assert.Equal(2, JsonDocument.Parse(_place.Evenkeel("list", "-o", "json")).RootElement.GetArrayLength());
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
        Assert.Equal(2, _place.TryEvenkeel("run", _place.Source, "--schedule", "sometimes").Code);
        Assert.Equal(2, _place.TryEvenkeel("run", _place.Source, "--schedule", "whole=daily").Code);
    }

    public void Dispose() => _place.Dispose();

    private IEnumerable<string> Paths(string repository) => JsonDocument.Parse(_place.Run(BackupProgram.Path, ["backup", "show", "latest", "-o", "json", "--repository", repository]))
        .RootElement.EnumerateArray().Select(entry => entry.GetProperty("path").GetString()!).Where(path => path.StartsWith(_place.Source + "/", StringComparison.Ordinal))
        .Select(path => path[_place.Source.Length..]).Order(StringComparer.Ordinal);
}
