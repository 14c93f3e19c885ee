using Evenkeel.Agent.Control;
using Evenkeel.Core.Backups;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>The control API's part for backups: commits that an operator wants one now; the controller gives it to a node.</summary>
internal sealed class BackupEndpoint(string cluster, Func<ClusterState> read, ICoordinationStore store)
{
    private readonly StateCodec _codec = new(cluster);

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost(ControlRoutes.BackupNow, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.BackupWish, async wish =>
        await ControlEndpoints.Send(http, await WishAsync((string)http.Request.RouteValues["job"]!, wish.Task, http.RequestAborted), ControlJson.Default.Done))));

    private async Task<Answer<Done>> WishAsync(string job, BackupTask task, CancellationToken cancellation)
    {
        var state = read();
        var jobs = state.Spec is { } spec ? BackupJobs.Of(spec.Value).ToList() : [];
        if (jobs.Find(one => one.Key == job) is not { } wanted)
        {
            return new Problem(ProblemKind.Unknown, $"there is no backup job '{job}'", jobs.Count == 0 ? "The cluster's file has none" : $"Known: {string.Join(", ", jobs.Select(one => one.Key))}");
        }

        if (task == BackupTask.Independent && wanted.Spec.Second is null)
        {
            return new Problem(ProblemKind.Refused, $"{job} has no second repository", "Write 'independent' in the cluster's file");
        }

        if (!state.Backups.TryGetValue(job, out var record))
        {
            return new Problem(ProblemKind.Unavailable, $"{job} is not known to a controller yet", "Try again in a second");
        }

        if (record.Value is { Running: { } run } current && current.Incarnation == state.Incarnation)
        {
            return new Problem(ProblemKind.Refused, $"{run.Node} is at it since {DateTimeOffset.FromUnixTimeSeconds(run.Started):yyyy-MM-dd HH:mm:ss}Z", "Wait for its end: evenkeel backup jobs");
        }

        var transaction = new Transaction(Guid.NewGuid(), [new Compare(_codec.Keys.Backup(job), record.Revision)], [_codec.Put(record.Value with { Wished = task, NotBefore = 0 })]);
        var result = await store.CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => new Done($"{job} is asked for; see: evenkeel backup jobs"),
            CommitOutcome.Conflict => new Problem(ProblemKind.Refused, $"{job} changed in the meantime", "Try again"),
            _ => new Problem(ProblemKind.Unavailable, $"the coordination store did not answer, it may be done or not: {result.Reason}", "Look at: evenkeel backup jobs"),
        };
    }
}
