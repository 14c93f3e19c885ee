using System.Globalization;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Backup;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Evidence;
using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Backup;

/// <summary>Does what an order says with the same parts that the commands are made of.</summary>
internal sealed class JobRun(BackupOrder order)
{
    private readonly BackupProgress _progress = new();
    private readonly List<string> _warnings = [];

    public Task<BackupAnswer> RunAsync(CancellationToken cancellation) => order.Task switch
    {
        BackupTask.Prune => PruneAsync(cancellation),
        BackupTask.Verify => VerifyAsync(cancellation),
        _ => BackUpAsync(cancellation),
    };

    private BackupSpec Spec => order.Spec;

    /// <summary>Marks what belongs to the job: retention touches nothing else in the repository.</summary>
    private string JobTag => $"job={order.Cluster}.{Spec.Name}";

    private async Task<BackupAnswer> BackUpAsync(CancellationToken cancellation)
    {
        var place = order.Task == BackupTask.Independent ? Spec.Second! : Spec.Repository;
        var result = Spec.FileSystemSnapshot is { } kind
            ? await InsideSnapshotAsync(kind, cancellation).ConfigureAwait(false)
            : await HeldAsync(place, exclusive: false, repository => order.Connection is null ? FilesAsync(repository, cancellation) : DatabaseAsync(repository, cancellation), cancellation).ConfigureAwait(false);
        if (!result.Good || Spec.Keep is null)
        {
            return result;
        }
        try
        {
            var removed = await HeldAsync(Maintained(place), exclusive: true, repository => ForgetAsync(repository, cancellation), cancellation).ConfigureAwait(false);
            return removed == 0 ? result : result with { Words = $"{result.Words}; {removed} older one(s) forgotten" };
        }
        catch (RepositoryException e)
        {
            // What was to be done is done: the backup is there.
            return result with { Warnings = [.. result.Warnings, $"retention failed: {e.Message}"] };
        }
    }

    private async Task<BackupAnswer> FilesAsync(ResticRepository repository, CancellationToken cancellation)
    {
        await LoadIndexAsync(repository, cancellation).ConfigureAwait(false);
        using var state = Spec.State ? await JobState.TakeAsync(order, cancellation).ConfigureAwait(false) : null;
        _warnings.AddRange(state?.Warnings ?? []);
        var request = new BackupRequest
        {
            Paths = [.. Spec.Paths, .. state?.Paths ?? []],
            Type = TypeOf(order.Task),
            Host = order.Host,
            Tags = [JobTag],
            Excludes = new PathPatterns([.. Spec.Exclude, .. state?.Excludes ?? []]),
            FixedBlocks = new PathPatterns(Spec.FixedBlocks),
            OneFileSystem = Spec.OneFileSystem,
        };
        var hooks = new Hooks(Spec.Before, Spec.After);
        Evenkeel.Backup.Engine.BackupResult? result = null;
        await hooks.AroundAsync(async () =>
        {
            result = await new BackupEngine(repository).RunAsync(request, _progress, cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        }, cancellation).ConfigureAwait(false);
        return await AnswerAsync(repository, result!, BackupTags.Of(result!.ActualType), cancellation).ConfigureAwait(false);
    }

    private async Task<BackupAnswer> DatabaseAsync(ResticRepository repository, CancellationToken cancellation)
    {
        await LoadIndexAsync(repository, cancellation).ConfigureAwait(false);
        var (result, whyFull) = await new BaseBackup(repository).RunAsync(order.Host, order.Connection, TypeOf(order.Task), _progress, cancellation, [JobTag]).ConfigureAwait(false);
        if (result.Incidents.FirstOrDefault(i => i.Lost) is { } lost)
        {
            return new BackupAnswer(false, $"{lost.Path}: {lost.Reason}; a base backup that lacks a file cannot be relied on");
        }
        // On a standby nobody has waited for the log that makes it consistent: the primary archives it.
        await new WalArchive(repository).WaitUntilRestorableAsync(order.Host, result.Snapshot, cancellation).ConfigureAwait(false);
        var answer = await AnswerAsync(repository, result, $"{BackupTags.Of(result.ActualType)} base backup", cancellation).ConfigureAwait(false);
        return answer with
        {
            Words = answer.Words + (result.Snapshot.Parent is { } on ? $", {Sizes.Of(result.Summary.BytesRead ?? 0)} read, on {on[..8]}" : "") + (whyFull is null ? "" : $"; everything was read: {whyFull}"),
        };
    }

    private async Task<BackupAnswer> AnswerAsync(ResticRepository repository, Evenkeel.Backup.Engine.BackupResult result, string what, CancellationToken cancellation)
    {
        var lost = result.Incidents.Where(i => i.Lost).ToList();
        if (lost.Count > 0)
        {
            _warnings.Add($"{lost.Count} file(s) could not be read, the first: {lost[0].Path}: {lost[0].Reason}");
        }
        var series = SnapshotSeries.Split(await repository.LoadSnapshotsAsync(cancellation, []).ConfigureAwait(false)).First(s => s.Any(one => one.Id == result.Snapshot.Id));
        if (AnomalyAlarm.Find(series).FirstOrDefault(a => a.Snapshot.Id == result.Snapshot.Id) is { } anomaly)
        {
            _warnings.Add($"ALARM: {string.Join("; ", anomaly.Reasons)}");
        }
        var s = result.Summary;
        return new BackupAnswer(true, $"{what} {result.Snapshot.Id.Brief}: {s.TotalFiles} files, {Sizes.Of(s.TotalBytes)}; {Sizes.Of(s.DataAddedPacked)} stored")
        {
            Snapshot = result.Snapshot.Id.ToString(), Files = s.TotalFiles, BytesRead = s.TotalBytes, BytesStored = s.DataAddedPacked, Warnings = [.. _warnings],
        };
    }

    private async Task<int> ForgetAsync(ResticRepository repository, CancellationToken cancellation)
    {
        var keep = Spec.Keep!;
        var policy = new RetentionPolicy(keep.Last, keep.Hourly, keep.Daily, keep.Weekly, keep.Monthly, keep.Yearly, keep.Within);
        var engine = new RetentionEngine(repository);
        var decisions = await engine.DecideAsync(policy, s => s.Tags?.Contains(JobTag) == true || (order.Connection is not null && PostgresTags.ServerOf(s) == order.Host), cancellation).ConfigureAwait(false);
        var gone = await engine.RemoveAsync(decisions, cancellation).ConfigureAwait(false);
        return gone;
    }

    private Task<BackupAnswer> PruneAsync(CancellationToken cancellation) => HeldAsync(Maintained(Spec.Repository), exclusive: true, async repository =>
    {
        var result = await new PruneEngine(repository).RunAsync(PruneCommand.DefaultTolerated, dryRun: false, cancellation).ConfigureAwait(false);
        return new BackupAnswer(true, PruneCommand.Describe(result, dryRun: false));
    }, cancellation);

    private Task<BackupAnswer> VerifyAsync(CancellationToken cancellation) => HeldAsync(Spec.Repository, exclusive: false, async repository =>
    {
        var share = Spec.VerifyPercent / 100.0;
        var started = TimeProvider.System.GetTimestamp();
        var result = await new VerifyEngine(repository).RunAsync(share, Random.Shared, _progress, cancellation).ConfigureAwait(false);
        var good = result.Problems.Count == 0;
        try
        {
            EvidenceLog.Open().Add(new EvidenceRecord(repository.Config.Id, null, "verify", DateTimeOffset.UtcNow, good, TimeProvider.System.GetElapsedTime(started).TotalSeconds, share,
                good ? $"{result.PacksRead} of {result.Packs} packs read" : result.Problems[0]));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As PostgreSQL's user it may not write there; the cluster keeps the result itself.
        }
        return new BackupAnswer(good, good ? string.Create(CultureInfo.InvariantCulture, $"{result.Snapshots} snapshots whole, {result.PacksRead} of {result.Packs} packs read")
            : $"{result.Problems.Count} problem(s), the first: {result.Problems[0]}") { BytesRead = result.BytesRead };
    }, cancellation);

    /// <summary>The same order, done by a program that sees the file system as its snapshot has it.</summary>
    private async Task<BackupAnswer> InsideSnapshotAsync(string kind, CancellationToken cancellation)
    {
        var inner = order with { Spec = Spec with { FileSystemSnapshot = null, Before = null, After = null, Keep = null } };
        var output = await FrozenFileSystem.RunAsync(kind, Spec.Paths[0], new Hooks(Spec.Before, Spec.After), ["backup", "job"],
            System.Text.Json.JsonSerializer.Serialize(inner, BackupOrderJson.Default.BackupOrder), cancellation).ConfigureAwait(false);
        return System.Text.Json.JsonSerializer.Deserialize(output.TrimEnd().Split('\n')[^1], BackupOrderJson.Default.BackupAnswer)!;
    }

    private async Task LoadIndexAsync(ResticRepository repository, CancellationToken cancellation)
    {
        foreach (var problem in await repository.LoadIndexAsync(cancellation).ConfigureAwait(false))
        {
            _warnings.Add($"{problem.Message}; what it listed was backed up again");
        }
    }

    private static BackupPlace Maintained(BackupPlace place) => place.MaintenanceFile is null ? place : place with { CredentialsFile = place.MaintenanceFile };

    private static BackupType TypeOf(BackupTask task) => task switch
    {
        BackupTask.Full => BackupType.Full,
        BackupTask.Differential => BackupType.Differential,
        BackupTask.Independent => BackupType.Independent,
        _ => BackupType.Incremental,
    };

    private static async Task<T> HeldAsync<T>(BackupPlace place, bool exclusive, Func<ResticRepository, Task<T>> action, CancellationToken cancellation)
    {
        await using var repository = await ResticRepository.OpenAsync(RepositoryOptions.Open(place.Location, place.CredentialsFile, place.AuthorityFile),
            RepositoryOptions.FromFile(place.PasswordFile), TimeProvider.System, cancellation).ConfigureAwait(false);
        await using var held = await PatientLock.AcquireAsync(repository, exclusive, cancellation).ConfigureAwait(false);
        await using var ends = RepositoryOptions.EndWith(held).ConfigureAwait(false);
        return await action(repository).ConfigureAwait(false);
    }
}
