using System.Text.RegularExpressions;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Does what docs/bare-restore.md says, with its own lines.</summary>
[Trait("peer", "restic")]
public sealed partial class BareRestoreTests : IDisposable
{
    private readonly Workplace _place = new();

    [Theory]
    [InlineData("evenkeel")]
    [InlineData("restic")]
    public void CommandsOfTheGuide_RestoreTheLostMachine(string program)
    {
        SourceSample.Make(_place);
        _place.Evenkeel("init");
        _place.Evenkeel("run", _place.Source);
        File.WriteAllText(_place.Root + "/password", Workplace.Password + "\n");
        var block = Blocks().Matches(File.ReadAllText(Guide())).Select(m => m.Groups[1].Value).Single(b => b.Contains(program + " ", StringComparison.Ordinal));
        Directory.CreateDirectory(_place.Root + "/disk");

        _place.Shell($"unset EVENKEEL_BACKUP_PASSWORD RESTIC_PASSWORD; evenkeel() {{ {BackupProgram.Path} \"$@\"; }}\n" + block
            .Replace("PLACE", _place.Repository, StringComparison.Ordinal)
            .Replace("/root/password", _place.Root + "/password", StringComparison.Ordinal)
            .Replace("/mnt", _place.Root + "/disk", StringComparison.Ordinal));

        Assert.Equal(Comparable(_place.Source), Comparable(_place.Root + "/disk" + _place.Source));
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
