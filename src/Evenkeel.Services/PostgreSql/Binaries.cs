using System.Globalization;

namespace Evenkeel.Services.PostgreSql;

/// <summary>Where PostgreSQL's programs lie: as told, else the Debian directory of the data's major version (or the newest), else the search path.</summary>
internal static class Binaries
{
    private const string Debian = "/usr/lib/postgresql";

    /// <param name="told">From the file.</param>
    /// <param name="major">Of the data; null while there is none.</param>
    /// <returns>Null when there are none.</returns>
    public static string? Find(string? told, int? major)
    {
        if (told is not null)
        {
            return IsComplete(told) ? told : null;
        }

        var installed = Directory.Exists(Debian) ? Directory.GetDirectories(Debian) : [];
        var fitting = installed
            .Select(path => (Path: Path.Combine(path, "bin"), Major: int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0))
            .Where(found => found.Major > 0 && (major is null || found.Major == major) && IsComplete(found.Path))
            .OrderByDescending(found => found.Major).Select(found => found.Path).FirstOrDefault();
        return fitting ?? (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').FirstOrDefault(IsComplete);
    }

    /// <summary>Of <c>postgres (PostgreSQL) 15.14</c>; null when it does not answer so.</summary>
    public static async Task<int?> MajorAsync(string directory, CancellationToken cancellation)
    {
        var answer = await Tool.RunAsync([Path.Combine(directory, "postgres"), "--version"], null, TimeSpan.FromSeconds(10), cancellation).ConfigureAwait(false);
        var version = answer.Output.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(2);
        return version is not null && int.TryParse(version.Split('.')[0].TrimEnd().AsSpan().TrimEnd("develbtarc"), NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : null;
    }

    private static bool IsComplete(string directory) => directory.Length > 0
        && ((string[])["postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"]).All(program => File.Exists(Path.Combine(directory, program)));
}
