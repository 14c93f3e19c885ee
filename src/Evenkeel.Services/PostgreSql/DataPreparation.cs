using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Brings a stopped instance's data to where the order can start: made, adopted, copied, or rewound; refuses other data than
/// the cluster's and never deletes it. (Rejected: starting first and mending later; a diverged copy would only stop again.)
/// </summary>
internal sealed class DataPreparation(Place place, InstanceOrder order, Action<string> say)
{
    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(3);
    private readonly ReplicationOrder _replication = order.Replication ?? new ReplicationOrder();
    private readonly PostgreSqlDriverSpec _spec = (PostgreSqlDriverSpec)order.Spec.Driver;
    private bool _restored;
    private string CutOff => Path.Combine(place.Data.Run, "rewinding");

    /// <summary>Makes the data fit; afterwards <see cref="DataDirectory.IsStandby"/> says as what it starts.</summary>
    public async Task<ActionResult> PrepareAsync(CancellationToken cancellation)
    {
        var data = place.Data;
        data.PrepareRun();
        if (!data.HasData)
        {
            return data.IsEmpty ? await MakeAsync(cancellation).ConfigureAwait(false)
                : ActionResult.Failure($"{data.Path} holds files that are no PostgreSQL data: move them away, or write another 'data'");
        }

        var (control, read) = await place.Programs.ReadAsync(data, cancellation).ConfigureAwait(false);
        if (control is null)
        {
            return read;
        }

        if (_replication.Data is { } wanted && control.System != wanted)
        {
            return ActionResult.Failure($"{data.Path} holds other data (system identifier {control.System}; the cluster's is {wanted}): move it away, and it is copied anew");
        }

        if (!_restored && order.Epoch is not null && _replication.Wrote is { } wrote && place.Data.Epoch < wrote)
        {
            return await ReplaceStaleAsync(wrote, cancellation).ConfigureAwait(false);
        }

        return order.Epoch is { } epoch ? StartAsActive(epoch, control) : await StartAsStandbyAsync(control, cancellation).ConfigureAwait(false);
    }

    /// <summary>The upstream's history lacks what this data has: rewound, or copied anew when that fails.</summary>
    public async Task<ActionResult> RejoinAsync(Upstream upstream, CancellationToken cancellation)
    {
        say($"rewinding to {upstream.Node}");
        await File.WriteAllTextAsync(CutOff, "", cancellation).ConfigureAwait(false);
        var epoch = place.Data.Epoch;
        var rewound = await place.Programs.RewindAsync(place.Data, UpstreamConnection.ForPrograms(upstream, order.Node.Name, place.Tls(), "postgres"), _spec.StartTimeout, cancellation).ConfigureAwait(false);
        if (!rewound.Succeeded)
        {
            return await CloneAsync(upstream, rewound.Reason!, cancellation).ConfigureAwait(false);
        }

        File.Delete(CutOff);
        place.Data.Persist(epoch); // The rewind brought the upstream's file.
        place.Data.BecomeStandby();
        say($"rewound to {upstream.Node}");
        return ActionResult.Success;
    }

    /// <summary>A whole copy; what is there stays until the copy is complete.</summary>
    public async Task<ActionResult> CloneAsync(Upstream upstream, string why, CancellationToken cancellation)
    {
        say($"copying all data from {upstream.Node} ({why})");
        var epoch = place.Data.HasData ? place.Data.Epoch : Epoch.None;
        var tls = place.Tls();
        var facts = await AskAsync(upstream, cancellation).ConfigureAwait(false);
        if (facts is not null && _replication.Data is { } wanted && facts.System != wanted)
        {
            return ActionResult.Failure($"{upstream.Node} holds other data (system identifier {facts.System}; the cluster's is {wanted})");
        }

        var slot = SlotName.Of(order.Node.Name);
        var connection = UpstreamConnection.ForPrograms(upstream, order.Node.Name, tls);
        var cloned = await place.Programs.CloneAsync(place.Data, connection, facts?.Slots.ContainsKey(slot) == true ? slot : null, _spec.StartTimeout, cancellation).ConfigureAwait(false);
        if (!cloned.Succeeded)
        {
            return cloned;
        }

        File.Delete(CutOff);
        place.Data.Persist(epoch);
        place.Data.BecomeStandby();
        say($"copied all data from {upstream.Node} ({why})");
        return ActionResult.Success;
    }

    /// <summary>Null when it cannot be asked now.</summary>
    public async Task<UpstreamFacts?> AskAsync(Upstream upstream, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(AskLimit);
        try
        {
            return await UpstreamFacts.AskAsync(UpstreamConnection.ForQuestions(upstream, place.Tls()), limit.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException or IOException or System.Net.Sockets.SocketException
            || (failure is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return null;
        }
    }

    private async Task<ActionResult> MakeAsync(CancellationToken cancellation)
    {
        if (order.Epoch is { } epoch)
        {
            if (!_replication.Initialise && _spec.Restore is { } restore)
            {
                return await RestoreAsync(restore, cancellation).ConfigureAwait(false);
            }

            if (!_replication.Initialise)
            {
                return ActionResult.Failure($"there is no data here ({place.Data.Path}), and the cluster had some: restore it, or let a node that has it own the service");
            }

            say("making an empty database");
            var made = await place.Programs.InitialiseAsync(place.Data, _spec.InitialiseWith, _spec.StartTimeout, cancellation).ConfigureAwait(false);
            if (!made.Succeeded)
            {
                // It was empty before: nothing is lost, and the next try finds it empty again.
                DataDirectory.Remove(place.Data.Path);
                return made;
            }

            place.Data.Persist(epoch);
            return ActionResult.Success;
        }

        return _replication.Upstream is { } upstream
            ? await CloneAsync(upstream, "there was none here", cancellation).ConfigureAwait(false)
            : ActionResult.Failure($"there is no data here ({place.Data.Path}), and nobody to copy it from yet");
    }

    /// <summary>The file's command brings the cluster's own data; what it brought instead is left there for a person to look at, and does not start.</summary>
    private async Task<ActionResult> RestoreAsync(IReadOnlyList<string> command, CancellationToken cancellation)
    {
        say("restoring the data");
        place.Data.Prepare(place.Data.Path);
        var restored = await Tool.RunAsync([.. command.Select(word => word.Replace("{data}", place.Data.Path, StringComparison.Ordinal))], place.User, _spec.StartTimeout, cancellation).ConfigureAwait(false);
        if (restored.Code != 0)
        {
            return ActionResult.Failure($"restore: {restored.Complaint}");
        }

        if (!place.Data.HasData)
        {
            return ActionResult.Failure($"restore: {command[0]} succeeded, but there is no PostgreSQL data in {place.Data.Path}");
        }

        say("the data was restored");
        _restored = true;
        // Not the order's own: under that it would go on as if it had been active already.
        if (_replication.Wrote is { } wrote && wrote < order.Epoch)
        {
            place.Data.Persist(wrote);
        }

        return await PrepareAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Another node was active since this data was: to start it would undo what was acknowledged there.</summary>
    private async Task<ActionResult> ReplaceStaleAsync(Epoch wrote, CancellationToken cancellation)
    {
        var data = place.Data;
        var lacks = $"{data.Path} lacks what was written under epoch {wrote} on another node (it has seen {data.Epoch})";
        if (_spec.Restore is { } restore && data.PutAside())
        {
            say($"{lacks}: it is now {data.Aside}");
            return await RestoreAsync(restore, cancellation).ConfigureAwait(false);
        }

        return ActionResult.Failure($"{lacks}: let the node that has those writes own the service, or move this data away ({(_spec.Restore is null ? "and restore a backup" : $"and {data.Aside}; it is restored then")}). "
            + $"To go on without them: echo {wrote} > {data.EpochPath}");
    }

    private ActionResult StartAsActive(Epoch epoch, ControlData control)
    {
        if (File.Exists(CutOff))
        {
            return ActionResult.Failure("a rewind was cut off here: this data can only be copied anew from another node");
        }

        if (place.Data.Epoch > epoch)
        {
            return ActionResult.Failure($"this data has seen epoch {place.Data.Epoch}, {epoch} is older");
        }

        // Only what ran as a primary under this very epoch (or never knew the cluster) goes on under its timeline. Everything
        // else starts as a standby and is promoted, for two histories under one timeline could never be told apart.
        var same = place.Data.Epoch == epoch || (_replication.Initialise && place.Data.Epoch == Epoch.None);
        if (!same || control.State.Contains("recovery", StringComparison.Ordinal) && control.State != "in crash recovery")
        {
            place.Data.BecomeStandby();
        }
        else if (!place.Data.IsStandby)
        {
            place.Data.Persist(epoch);
        }

        return ActionResult.Success;
    }

    private async Task<ActionResult> StartAsStandbyAsync(ControlData control, CancellationToken cancellation)
    {
        if (_replication.Upstream is not { } upstream)
        {
            if (File.Exists(CutOff))
            {
                return ActionResult.Failure("a rewind was cut off here: it goes on when there is a node to follow");
            }

            place.Data.BecomeStandby();
            return ActionResult.Success;
        }

        if (File.Exists(CutOff))
        {
            return await CloneAsync(upstream, "an earlier rewind was cut off", cancellation).ConfigureAwait(false);
        }

        place.Data.Persist(upstream.Epoch);
        var facts = await AskAsync(upstream, cancellation).ConfigureAwait(false);
        if (facts is not null && facts.System != control.System)
        {
            return ActionResult.Failure($"{place.Data.Path} holds other data than {upstream.Node} (system identifiers {control.System} and {facts.System}): move it away, and it is copied anew");
        }

        if (facts is { Settled: true } && !facts.History.HasAll(control))
        {
            return await RejoinAsync(upstream, cancellation).ConfigureAwait(false);
        }

        // Not to be asked now, or not a primary yet: it starts with what it has, and the watch over it looks again.
        place.Data.BecomeStandby();
        return ActionResult.Success;
    }
}
