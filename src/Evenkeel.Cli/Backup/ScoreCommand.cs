using System.CommandLine;
using System.Globalization;
using Evenkeel.Backup;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Evidence;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup score</c>: 3-2-1-1-0 for each protected thing.</summary>
internal static class ScoreCommand
{
    private sealed record Place(string Name, bool OffSite, bool Immutable);

    private sealed record Contents(Place Place, string Medium, IReadOnlyList<Snapshot> Snapshots, bool Proven);

    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var copies = new Argument<string[]>("COPY") { Description = "A repository, with ',offsite' and ',immutable' after it where it is so.", Arity = ArgumentArity.OneOrMore };
        var age = new Option<double>("--longest-age-hours") { Description = "A copy whose newest snapshot is older does not count.", DefaultValueFactory = _ => 48 };
        var output = Options.Output();
        var command = new DescribedCommand("score", "Scores each protected thing 3-2-1-1-0: three copies, two media, one off-site, one immutable, no errors.", """
            All repositories are opened with the same password. The original counts as a copy. A copy is immutable when its users cannot
            remove from it (repository serve --append-only) or it is offline. Exit code 1 when something is missing.
            """)
        { copies, age, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => Outcome.OfAsync(async () =>
        {
            var contents = new List<Contents>();
            foreach (var copy in parsed.GetRequiredValue(copies).Select(Read))
            {
                contents.Add(await LookAsync(copy, repository, parsed, cancellation).ConfigureAwait(false));
            }
            var views = Score(contents, TimeSpan.FromHours(parsed.GetValue(age)));
            await parsed.InvocationConfiguration.Output.WriteLineAsync(parsed.GetValue(output) == OutputFormat.Json
                ? BackupJson.Text<IReadOnlyList<ScoreView>>(views) : string.Join('\n', views.Select(Describe))).ConfigureAwait(false);
            return views.All(v => v.Parts.All(p => p.Met)) ? ExitCode.Success : ExitCode.Failed;
        }));
        return command;
    }

    private static Place Read(string text)
    {
        var parts = text.Split(',');
        return parts[1..].FirstOrDefault(p => p is not ("offsite" or "immutable")) is { } unknown
            ? throw new CommandFailedException(ExitCode.Usage, $"'{unknown}' is neither offsite nor immutable")
            : new Place(parts[0], parts.Contains("offsite"), parts.Contains("immutable"));
    }

    private static async Task<Contents> LookAsync(Place place, RepositoryOptions options, ParseResult parsed, CancellationToken cancellation)
    {
        var backend = options.Backend(parsed, place.Name);
        await using var opened = await ResticRepository.OpenAsync(backend, options.Password(parsed), TimeProvider.System, cancellation).ConfigureAwait(false);
        var last = EvidenceLog.Open().Read(opened.Config.Id).LastOrDefault(e => e.Kind == "verify" || !e.Passed);
        var proven = last is { Passed: true } && DateTimeOffset.UtcNow - last.At <= BackupScore.ProofLasts;
        return new Contents(place with { Name = backend.Location }, Medium(backend), await opened.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false), proven);
    }

    private static string Medium(IBackend backend) => backend is LocalBackend ? Disk(backend.Location)
        : backend.Location.Split('/') is ["http:" or "https:", "", var host, ..] ? host : backend.Location.Split(':') is ["sftp", var machine, ..] ? machine : backend.Location;

    private static string Disk(string path)
    {
        var existing = path;
        while (!Path.Exists(existing))
        {
            existing = Path.GetDirectoryName(existing) ?? "/";
        }
        return DriveInfo.GetDrives().Select(d => d.Name).Where(m => (existing.TrimEnd('/') + "/").StartsWith(m.TrimEnd('/') + "/", StringComparison.Ordinal))
            .MaxBy(m => m.Length) ?? "/";
    }

    private static List<ScoreView> Score(List<Contents> contents, TimeSpan longestAge) =>
        [.. SnapshotSeries.Split(contents.SelectMany(c => c.Snapshots).Where(s => Evenkeel.Backup.Postgres.PostgresTags.SegmentOf(s) is null)).Select(series =>
        {
            var thing = series[0];
            var copies = contents.Select(c => new BackupCopy(c.Place.Name, c.Medium, c.Place.OffSite, c.Place.Immutable,
                c.Snapshots.Where(s => s.Hostname == thing.Hostname && s.Paths.Order(StringComparer.Ordinal).SequenceEqual(thing.Paths.Order(StringComparer.Ordinal)))
                    .Select(s => (DateTimeOffset?)s.When).Max(), c.Proven)).ToList();
            return new ScoreView(thing.Hostname, thing.Paths, BackupScore.Of(Disk(thing.Paths[0]), copies, DateTimeOffset.UtcNow, longestAge));
        })];

    private static string Describe(ScoreView view) => string.Create(CultureInfo.InvariantCulture,
        $"{view.Host} {string.Join(' ', view.Paths)}: {view.Parts.Count(p => p.Met)} of 5\n{string.Join('\n', view.Parts.Select(p => $"  {(p.Met ? "yes" : "NO "),-4} {p.Rule,-12} {p.Detail}"))}");
}
