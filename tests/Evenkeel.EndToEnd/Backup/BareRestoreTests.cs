using System.Text.RegularExpressions;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Does what docs/bare-restore.md says, with its own lines.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared"), Trait("Turn", "2")]
public sealed partial class BareRestoreTests : IDisposable
{
    private readonly Workplace _place = new();

    [Theory]
    [InlineData("evenkeel")]
    [InlineData("restic")]
    public void CommandsOfTheGuide_RestoreTheLostMachine(string program)
    {
        SourceSample.Make(_place);
        // Enough of a system for a shell.
        _place.Shell($"cd {_place.Source}; mkdir -p bin dev proc sys etc; cp $(command -v busybox) bin/busybox; ln -s busybox bin/sh; echo lost > etc/hostname");
        _place.Evenkeel("init");
        _place.Evenkeel("run", _place.Source);
        var disk = Directory.CreateDirectory(_place.Root + "/disk").FullName;
        var root = disk + _place.Source;
        var steps = Blocks().Matches(File.ReadAllText(Guide())).Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(5, steps.Count);
        var restore = steps.Skip(1).Take(2).Single(step => step.Contains(program + " ", StringComparison.Ordinal));

        // As it stands, but for the places: this machine's own root must not be written over.
        Do($$"""editor() { printf '{{Workplace.Password}}\n' > "$1"; }""" + "\n" + steps[0]);
        Assert.Equal("600", _place.Shell($"stat -c %a {_place.Root}/password").Trim());
        Do(restore);
        Assert.Equal(Comparable(_place.Source), Comparable(root));
        // In a mount namespace of its own: what is mounted there is gone with it, whatever happens.
        File.WriteAllText(_place.Root + "/typed", "cat /etc/hostname; test -c /dev/null && test -e /proc/self && touch /restored");
        _place.Run("unshare", ["--mount", "--propagation", "private", "bash", "-euc", steps[3].Replace("/mnt", root, StringComparison.Ordinal)
            .Replace("/bin/sh", $"/bin/sh < {_place.Root}/typed", StringComparison.Ordinal)]);
        Assert.True(File.Exists(root + "/restored"), "the restored system does not run");
        Do("export EVENKEEL_BACKUP_REPOSITORY=PLACE\n" + steps[4].Replace("run / ", $"run {root} ", StringComparison.Ordinal));
        Assert.Contains(root, _place.Evenkeel("list"), StringComparison.Ordinal);

        void Do(string step) => _place.Shell($"unset EVENKEEL_BACKUP_PASSWORD RESTIC_PASSWORD; evenkeel() {{ {BackupProgram.Path} \"$@\"; }}\n" + step
            .Replace("PLACE", _place.Repository, StringComparison.Ordinal)
            .Replace("/root/password", _place.Root + "/password", StringComparison.Ordinal)
            .Replace("/mnt", disk, StringComparison.Ordinal));
    }

    public void Dispose() => _place.Dispose();

    // restic's directories have the link counts of the file system, and hard links only within one restore.
    private string Comparable(string directory) => LinkCounts().Replace(SourceSample.Describe(_place, directory), "|");

    private static string Guide()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Evenkeel.slnx")))
            {
                return Path.Combine(folder.FullName, "docs/bare-restore.md");
            }
        }
        throw new DirectoryNotFoundException("the test does not run below the repository");
    }

    [GeneratedRegex(@"```sh\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"\|\d+\|(?=\d*$)", RegexOptions.Multiline)]
    private static partial Regex LinkCounts();
}
