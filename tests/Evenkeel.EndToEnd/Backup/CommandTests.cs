using System.Text.Json;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>The commands as a user runs them, judged by restic.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared")]
public sealed class CommandTests : IDisposable
{
    private readonly Workplace _place = new();

    [Theory]
    [InlineData("1")]
    [InlineData("2")]
    public void Restore_OfWhatResticWrote_IsTheSource(string version)
    {
        SourceSample.Make(_place);
        _place.Restic("init", "--repository-version", version);
        _place.Restic("backup", _place.Source);
        var target = Path.Combine(_place.Root, "restored");

        Assert.Contains("no problem found", _place.Evenkeel("verify", "--all"), StringComparison.Ordinal);
        _place.Evenkeel("restore", "latest", "--target", target);

        Assert.Equal(SourceSample.Describe(_place, _place.Source), SourceSample.Describe(_place, target + _place.Source));
        Assert.True(long.Parse(_place.Shell($"stat -c %b {target}{_place.Source}/sparse"), null) < 1000, "the hole was filled");
    }

    [Fact]
    public void RunForgetPrune_ByTurnsWithRestic_BothFindTheRepositorySound()
    {
        _place.Evenkeel("init");
        for (var round = 0; round < 4; round++)
        {
            _place.Shell($"cd {_place.Source}; head -c 3000000 /dev/urandom > file{round}; head -c 200 /dev/urandom > same; rm -f file{round - 2}");
            if (round % 2 == 0)
            {
                _place.Evenkeel("run", _place.Source);
            }
            else
            {
                _place.Restic("backup", _place.Source);
            }
        }
        var decisions = _place.Evenkeel("forget", "--keep-last", "1", "--dry-run");
        Assert.Equal(3, decisions.Split('\n').Count(l => l.StartsWith("remove", StringComparison.Ordinal)));
        Assert.Equal(4, JsonDocument.Parse(_place.Evenkeel("list", "-o", "json")).RootElement.GetArrayLength());

        _place.Evenkeel("forget", "--keep-last", "2");
        _place.Evenkeel("prune");
        _place.Restic("check", "--read-data");
        _place.Restic("forget", "--keep-last", "1", "--prune");

        Assert.Contains("no problem found", _place.Evenkeel("verify", "--all"), StringComparison.Ordinal);
        _place.Evenkeel("restore", "latest", "--target", _place.Root + "/out");
        _place.Shell($"diff -r {_place.Source} {_place.Root}/out{_place.Source}");
    }

    [Fact]
    public void Run_Types_BuildOnTheRightSnapshotAndReadOnlyWhatChanged()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; echo a > a; echo b > b");
        Assert.Contains("there is none to make a incremental one of", Run("incremental"), StringComparison.Ordinal);
        _place.Shell($"echo c > {_place.Source}/c");
        Assert.Contains("1 new, 0 changed, 2 unmodified", Run("incremental"), StringComparison.Ordinal);
        _place.Shell($"echo d > {_place.Source}/d");
        Assert.Contains("2 new, 0 changed, 2 unmodified", Run("differential"), StringComparison.Ordinal);
        Assert.Contains("4 new, 0 changed, 0 unmodified", Run("full"), StringComparison.Ordinal);
        _place.Restic("check", "--read-data");

        string Run(string type) => _place.Evenkeel("run", "--type", type, _place.Source);
    }

    [Fact]
    public void Commands_ThatCannotWork_SayWhyWithTheirOwnExitCode()
    {
        Assert.Equal(3, _place.TryEvenkeel("list").Code);
        _place.Evenkeel("init");
        Assert.Equal(4, _place.TryEvenkeel("init").Code);
        Assert.Equal(2, _place.TryEvenkeel("forget").Code);
        Assert.Equal(2, _place.TryEvenkeel("run").Code);
        var wrong = _place.TryEvenkeel("list", "--password-command", "echo wrong");
        Assert.Equal(3, wrong.Code);
        Assert.Contains("wrong password", wrong.Error, StringComparison.Ordinal);
        Assert.Equal(1, _place.TryEvenkeel("run", _place.Root + "/missing").Code);
        Assert.Equal(1, _place.TryEvenkeel("restore", "latest", "--target", _place.Root + "/x").Code);
        var hook = _place.TryEvenkeel("run", _place.Source, "--before", "exit 7", "--after", $"echo $EVENKEEL_BACKUP_RESULT > {_place.Root}/thawed");
        Assert.Equal(1, hook.Code);
        Assert.Equal("failed\n", File.ReadAllText(_place.Root + "/thawed"));
        Assert.DoesNotContain("   at ", wrong.Error + hook.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_AddedChangedAndRemoved_OpenForResticToo()
    {
        _place.Evenkeel("init");
        File.WriteAllText(_place.Root + "/second", "second\n");
        _place.Evenkeel("key", "add", "--new-password-file", _place.Root + "/second");
        Assert.Equal(2, _place.Evenkeel("key", "list").Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        _place.Restic("snapshots", "--password-file", _place.Root + "/second");
        File.WriteAllText(_place.Root + "/third", "third\n");
        _place.Evenkeel("key", "change", "--new-password-file", _place.Root + "/third");
        Assert.Equal(3, _place.TryEvenkeel("list").Code);
        Assert.Equal(0, _place.TryEvenkeel("list", "--password-file", _place.Root + "/third").Code);
    }

    [Fact]
    public void RecoveryPassword_GivenAtInit_OpensForResticWhenTheOtherIsLost()
    {
        File.WriteAllText(_place.Root + "/escrow", "in the safe\n");
        Assert.Contains("The recovery password opens it too", _place.Evenkeel("init", "--recovery-password-file", _place.Root + "/escrow"), StringComparison.Ordinal);
        _place.Evenkeel("run", _place.Source);
        _place.Restic("snapshots", "--password-file", _place.Root + "/escrow");
        Assert.Equal(0, _place.TryEvenkeel("list", "--password-command", "echo in the safe").Code);
    }

    [Fact]
    public void Copy_ToAnotherRepository_SealsAnewAndIsDoneOnce()
    {
        SourceSample.Make(_place);
        _place.Evenkeel("init");
        _place.Evenkeel("run", _place.Source);
        var other = _place.Root + "/other";
        File.WriteAllText(_place.Root + "/password", Workplace.Password);
        _place.Run(BackupProgram.Path, ["backup", "init", "--repository", other]);
        string[] target = ["--to-repository", other, "--to-password-file", _place.Root + "/password"];
        Assert.Contains("Copied 1 snapshot", _place.Evenkeel("copy", target), StringComparison.Ordinal);
        Assert.Contains("Copied 0 snapshot", _place.Evenkeel("copy", target), StringComparison.Ordinal);
        _place.Run("restic", ["-r", other, "--no-cache", "check", "--read-data"]);
    }

    [Fact]
    public void ResticLsDiffCopyTag_AndOurShowDiffCopyList_Agree()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; echo a > a; echo b > b; head -c 2000000 /dev/urandom > big");
        _place.Evenkeel("run", _place.Source);
        _place.Shell($"cd {_place.Source}; echo more >> a; rm b; echo c > c");
        _place.Restic("backup", _place.Source);
        var ids = JsonDocument.Parse(_place.Evenkeel("list", "-o", "json")).RootElement.EnumerateArray().Select(e => e.GetProperty("id").GetString()!).ToList();

        foreach (var id in ids)
        {
            var theirs = _place.Restic("ls", id).Split('\n').Where(l => l.StartsWith('/')).Order(StringComparer.Ordinal);
            var ours = JsonDocument.Parse(_place.Evenkeel("show", id, "-o", "json")).RootElement.EnumerateArray().Select(e => e.GetProperty("path").GetString()!);
            Assert.Equal(theirs, ours.Order(StringComparer.Ordinal));
        }
        var difference = _place.Evenkeel("diff", ids[0], ids[1]);
        Assert.Equal(
            _place.Restic("diff", ids[0], ids[1]).Split('\n').Where(l => l.StartsWith("+ ", StringComparison.Ordinal) || l.StartsWith("- ", StringComparison.Ordinal)
                || l.StartsWith("M ", StringComparison.Ordinal)).Select(l => l[1..].Trim()).Order(StringComparer.Ordinal),
            difference.Split('\n').Where(l => l.Contains(_place.Source + "/", StringComparison.Ordinal)).Select(l => l[l.IndexOf('/', StringComparison.Ordinal)..].Trim()).Order(StringComparer.Ordinal));

        File.WriteAllText(_place.Root + "/password", Workplace.Password);
        var other = _place.Root + "/other";
        _place.Run("restic", ["-r", other, "--no-cache", "init"]);
        _place.Run("restic", ["-r", other, "--no-cache", "copy", "--from-repo", _place.Repository, "--from-password-file", _place.Root + "/password"]);
        Assert.Contains("Copied 0 snapshot", _place.Evenkeel("copy", "--to-repository", other, "--to-password-file", _place.Root + "/password"), StringComparison.Ordinal);
        Assert.Contains("no problem found", _place.Run(BackupProgram.Path, ["backup", "verify", "--all", "--repository", other]), StringComparison.Ordinal);

        // Debian's restic has no 'rewrite' yet; 'tag' rewrites snapshots in the same way.
        _place.Restic("tag", "--add", "seen", ids[0]);
        Assert.Contains("seen", _place.Evenkeel("list", "-o", "json"), StringComparison.Ordinal);
        _place.Evenkeel("prune");
        _place.Restic("check", "--read-data");
    }

    [Fact]
    public void Restore_PathToAPipe_AndDryRun_ShowAndWriteOnlyThat()
    {
        _place.Evenkeel("init");
        _place.Shell($"cd {_place.Source}; seq 1 100000 > numbers; echo keep > keep");
        _place.Evenkeel("run", _place.Source);
        _place.Shell($"{BackupProgram.Path} backup restore latest --repository {_place.Repository} --path {_place.Source}/numbers --target - | cmp - {_place.Source}/numbers");
        _place.Shell($"echo changed > {_place.Source}/numbers");
        var preview = _place.Evenkeel("restore", "latest", "--target", "/", "--path", _place.Source, "--dry-run");
        Assert.Equal([$"replace  {_place.Source}/numbers"], preview.Split('\n').Where(l => l.Contains("replace ", StringComparison.Ordinal)));
        Assert.DoesNotContain("create", preview, StringComparison.Ordinal);
        Assert.Equal("changed\n", File.ReadAllText(_place.Source + "/numbers"));
        _place.Evenkeel("restore", "latest", "--target", "/", "--path", _place.Source);
        Assert.Equal(100000, File.ReadLines(_place.Source + "/numbers").Count());
    }

    public void Dispose() => _place.Dispose();
}
