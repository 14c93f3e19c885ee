using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Server;

/// <summary>What a request's path means: a repository, and in it a kind's listing or one file.</summary>
/// <param name="Repository">Folder names below the served directory; may be empty.</param>
/// <param name="Kind">Null for the repository itself.</param>
/// <param name="Name">A file's name; null for a listing.</param>
internal sealed record RepositoryPath(IReadOnlyList<string> Repository, FileKind? Kind, string? Name)
{
    private const int Deepest = 8;
    private static readonly Dictionary<string, FileKind> Folders =
        Enum.GetValues<FileKind>().Where(k => k != FileKind.Config).ToDictionary(LocalBackend.Folder);

    /// <summary>Null for everything that is no such path; names are plain, so that no path leaves the directory.</summary>
    public static RepositoryPath? Parse(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length > Deepest)
        {
            return null;
        }
        RepositoryPath? result = parts switch
        {
            [.. var above, "config"] => new(above, FileKind.Config, "config"),
            [.. var above, var folder, var name] when Folders.TryGetValue(folder, out var kind) =>
                ObjectId.TryParse(name.AsSpan(), out _) ? new(above, kind, name) : null,
            [.. var above, var folder] when Folders.TryGetValue(folder, out var kind) => new(above, kind, null),
            _ => new(parts, null, null),
        };
        return result is not null && result.Repository.All(IsPlain) ? result : null;
    }

    private static bool IsPlain(string name) =>
        name[0] != '.' && name.Length <= 100 && name != "config" && !Folders.ContainsKey(name)
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@');
}
