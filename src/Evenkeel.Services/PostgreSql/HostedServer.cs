using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.PostgreSql;

/// <summary>The server of one instance: brought to what an order says, with or without a restart. For one action at a time.</summary>
internal sealed class HostedServer(string service, IGuardLink guard, PostgreSqlSettings settings, InstanceReport report, Func<ServerStatus?, Task> following, CancellationToken closing) : IAsyncDisposable
{
    private const int Reload = 1; // SIGHUP
    private const int Kill = 9;
    private const string Unreadable = "what data is here cannot be read";
    private static readonly TimeSpan AnswerStep = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LaunchRetries = TimeSpan.FromSeconds(3);
    private readonly ServerWatch _watch = new(report, following);
    private LocalConnection? _server;
    private string _note = "";
    private volatile bool _ending;

    public GuardedProcess Process { get; } = new(service, guard);
    /// <summary>The latest order that was acted on.</summary>
    public InstanceOrder? Order { get; private set; }
    public Place? Place { get; private set; }
    /// <summary>It is to end, or has ended, because we said so.</summary>
    public bool Ending => _ending;
    public DateTime StartedAt { get; private set; }
    /// <summary>When it last received from its upstream, or began to follow another.</summary>
    public DateTime Streamed { get; set; } = DateTime.UtcNow;

    public async Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation)
    {
        if (Order is not { } order || Place is not { } place || _server is null || Process.Id is null)
        {
            return ActionResult.Failure("it does not run here");
        }

        var promoted = await PromoteAsync(place, order, epoch, cancellation).ConfigureAwait(false);
        if (promoted.Succeeded)
        {
            Order = order with { Epoch = epoch };
            _watch.Take(place, Order);
        }

        return promoted;
    }

    /// <summary>Starts it, restarts it, or changes what runs.</summary>
    public async Task<ActionResult> MakeSoAsync(InstanceOrder order, CancellationToken cancellation)
    {
        try
        {
            return await TryMakeSoAsync(order, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            // Who says 'starting' is not started again: a full disk, say, must not leave it so for ever.
            report.Set(facts => Process.Id is not null ? facts : facts with
            {
                Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Epoch = null,
                Detail = failure is OperationCanceledException ? "its start was given up" : failure.Message,
            });
            throw;
        }
    }

    private async Task<ActionResult> TryMakeSoAsync(InstanceOrder order, CancellationToken cancellation)
    {
        var (place, found) = await Place.OfAsync(order, settings, cancellation).ConfigureAwait(false);
        if (place is null)
        {
            return found;
        }

        (Order, Place) = (order, place);
        if (Process.Id is not null)
        {
            if (Process.Request is { } request && (request with { Lease = null }).SameAs(place.Request))
            {
                if (await TakeRunningAsync(cancellation).ConfigureAwait(false) is { } taken)
                {
                    return taken;
                }
            }
            else if (await EndAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stays)
            {
                return stays;
            }
        }

        _note = "";
        report.Set(facts => facts with { Status = InstanceStatus.Starting, Health = Core.Model.Health.Unknown, Epoch = null, Detail = "" });
        await TellDataAsync(cancellation).ConfigureAwait(false);
        var prepared = await new DataPreparation(place, order, Say).PrepareAsync(cancellation).ConfigureAwait(false);
        return prepared.Succeeded ? await LaunchAsync(cancellation).ConfigureAwait(false) : prepared;
    }

    /// <summary>What runs is brought to the order without a restart; null where only a restart does it, and it has been ended for that.</summary>
    private async Task<ActionResult?> TakeRunningAsync(CancellationToken cancellation)
    {
        var (order, place) = (Order!, Place!);
        // What is known to be a primary must end to become a standby, and what is stopped will not answer: it is not asked first.
        if (order.Epoch is null && (report.Facts.Epoch is not null || (Process.Id is { } server && StoppedProcess.Is(server))))
        {
            return await EndAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } refuses ? refuses : null;
        }

        WatchServer();
        if (order.Epoch is null && report.Facts.Status == InstanceStatus.Starting && place.Data.IsStandby)
        {
            // It may come to answer only with what this upstream has: so it is told first.
            TellStarting(place, order);
            return ActionResult.Success;
        }

        if (await AnswerAsync(cancellation).ConfigureAwait(false) is not { } status)
        {
            return ActionResult.Failure("it runs, but does not answer");
        }

        if (order.Replication?.Data is { } wanted && report.Facts.Replication?.Data is { } found && found != wanted)
        {
            return ActionResult.Failure($"{place.Data.Path} holds other data (system identifier {found}; the cluster's is {wanted}): move it away, and it is copied anew");
        }

        if (order.Epoch is null && !status.Recovering)
        {
            return await EndAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stays ? stays : null;
        }

        if (order.Epoch is { } epoch)
        {
            if (place.Data.Epoch > epoch)
            {
                return ActionResult.Failure($"this data has seen epoch {place.Data.Epoch}, {epoch} is older");
            }

            if (!status.Recovering)
            {
                place.Data.Persist(epoch);
            }
        }
        else if (order.Replication?.Upstream is { } upstream)
        {
            place.Data.Persist(upstream.Epoch);
        }

        if (place.Configure(order))
        {
            await _server!.AskAsync("SELECT pg_reload_conf()", TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(false);
            Streamed = DateTime.UtcNow;
        }

        _watch.Take(place, order);
        if (order.Epoch is not { } active || !status.Recovering)
        {
            return ActionResult.Success;
        }

        return await PromoteAsync(place, order, active, cancellation).ConfigureAwait(false);
    }

    private void TellStarting(Place place, InstanceOrder order)
    {
        if (order.Replication?.Upstream is { } upstream)
        {
            place.Data.Persist(upstream.Epoch);
        }

        if (place.Configure(order))
        {
            Process.Signal(Reload);
            Streamed = DateTime.UtcNow;
        }

        _watch.Take(place, order);
    }

    public async Task<ActionResult> LaunchAsync(CancellationToken cancellation)
    {
        var (order, place) = (Order!, Place!);
        place.TakeBack((PostgreSqlDriverSpec)order.Spec.Driver);
        place.Configure(order);
        var asStandby = place.Data.IsStandby;
        _ending = false;

        // What starts as the primary starts under its lease: a door that has closed meanwhile lets nobody in.
        var request = order.Epoch is { } right && !asStandby
            ? place.Request with { Lease = new HeldLease(ResourceId.Service(place.Service), right) } : place.Request;

        // The guard keeps the name until the last process of the one before has gone.
        var until = DateTime.UtcNow + LaunchRetries;
        string? problem;
        while ((problem = await Process.LaunchAsync(request, order.Spec.Driver.StartTimeout, cancellation).ConfigureAwait(false)) is not null && DateTime.UtcNow < until)
        {
            await Task.Delay(50, cancellation).ConfigureAwait(false);
        }

        if (problem is not null)
        {
            return ActionResult.Failure(problem);
        }

        StartedAt = Streamed = DateTime.UtcNow;
        report.Set(facts => facts with { Status = InstanceStatus.Starting, ProcessId = Process.Id, Detail = _note });
        WatchServer();
        if (order.Epoch is null)
        {
            return ActionResult.Success; // How it gets on, the watch says.
        }

        if (await AnswerAsync(cancellation).ConfigureAwait(false) is null)
        {
            return ActionResult.Failure(Process.Id is null ? report.Facts.Detail : "it does not answer");
        }

        if (asStandby)
        {
            var promoted = await PromoteAsync(place, order, order.Epoch.Value, cancellation).ConfigureAwait(false);
            if (!promoted.Succeeded)
            {
                return promoted;
            }
        }

        await ReplicationRole.EnsureAsync(_server!, cancellation).ConfigureAwait(false);
        return ActionResult.Success;
    }

    private void WatchServer()
    {
        if (_server is null || _watch.Watching != Process.Id)
        {
            _ = _server?.DisposeAsync().AsTask();
            _server = new LocalConnection(Place!.Data.Run, Place.Port);
            report.Set(facts => facts with { ProcessId = Process.Id });
            _watch.Begin(new Watched(Place, Order!, _server, Process.Id ?? 0) { Pending = _note, Kill = () => Process.Signal(Kill, tree: true) });
        }
    }

    /// <summary>The first answer; null when it ended instead. Within the time of the action around it.</summary>
    private async Task<ServerStatus?> AnswerAsync(CancellationToken cancellation)
    {
        while (Process.Id is not null)
        {
            if (await _watch.ObserveAsync(cancellation).ConfigureAwait(false) is { } status)
            {
                return status;
            }

            await Task.Delay(AnswerStep, cancellation).ConfigureAwait(false);
        }

        return null;
    }

    public async Task<ActionResult> EndAsync(CancellationToken cancellation)
    {
        _ending = true;

        if (Process.Id is null)
        {
            return ActionResult.Success;
        }

        // What was stuck stays so, to others too, until it has ended.
        var stuck = report.Facts.Status is InstanceStatus.Stuck;
        report.Set(facts => facts.Status is InstanceStatus.Stuck ? facts : facts with { Status = InstanceStatus.Stopping });
        var control = new ServerControl(Process);
        var ended = await (stuck ? control.KillAsync(cancellation) : control.EndAsync(Order?.Spec.Driver.StopTimeout ?? TimeSpan.FromSeconds(60), cancellation)).ConfigureAwait(false);
        _watch.End();
        if (!ended.Succeeded)
        {
            BecomeStuck(ended.Reason!);
        }

        return ended;
    }

    /// <summary>It could not be ended: a server that waits for its disk may yet write what it was about to.</summary>
    public void BecomeStuck(string reason)
    {
        _watch.End();
        report.Set(facts => Process.Id is null ? facts : facts with { Status = InstanceStatus.Stuck, Health = Core.Model.Health.Unhealthy, Detail = reason });
    }

    // What could not be read before can be now.
    private void TellFound(long? position, ReplicationFacts found) => report.Set(facts => Process.Id is not null ? facts : facts with
    {
        Position = position, Replication = found,
        Status = facts.Detail.StartsWith(Unreadable, StringComparison.Ordinal) ? InstanceStatus.Stopped : facts.Status,
        Detail = facts.Detail.StartsWith(Unreadable, StringComparison.Ordinal) ? "" : facts.Detail,
    });

    /// <summary>Says what lies here before anything is started.</summary>
    public async Task<ActionResult> LookAsync(InstanceOrder order, CancellationToken cancellation)
    {
        if (Process.Id is not null)
        {
            return ActionResult.Success;
        }

        // A node without PostgreSQL, or its user, has none either; it must not keep the others waiting.
        if (!Place.MayHaveData(order))
        {
            TellFound(null, new ReplicationFacts());
            return ActionResult.Success;
        }

        var (place, result) = await Place.OfAsync(order, settings, cancellation).ConfigureAwait(false);
        if (place is not null)
        {
            (var control, result) = await place.Programs.ReadAsync(place.Data, cancellation).ConfigureAwait(false);
            if (control is not null)
            {
                TellFound(place.Data.End(control), new ReplicationFacts { Data = control.System, Timeline = control.Timeline });
            }
        }

        if (!result.Succeeded)
        {
            report.Set(facts => Process.Id is not null ? facts : facts with
            {
                Status = InstanceStatus.Failed, Detail = $"{Unreadable}: {result.Reason}", Replication = null,
            });
        }

        return result;
    }

    /// <summary>What a directory at rest says of its data: told before it runs, and after it has ended.</summary>
    public async Task TellDataAsync(CancellationToken cancellation)
    {
        if (Place is { } place && place.Data.HasData && (await place.Programs.ReadAsync(place.Data, cancellation).ConfigureAwait(false)).Data is { } control)
        {
            report.Set(facts => Process.Id is not null ? facts : facts with
            {
                Position = place.Data.End(control),
                Replication = new ReplicationFacts { Data = control.System, Timeline = control.Timeline },
            });
        }
    }

    public void Say(string note)
    {
        _note = note;
        report.Set(facts => facts with { Detail = note });
    }

    /// <summary>It has ended.</summary>
    public void Forget() => _watch.End();

    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync().ConfigureAwait(false);
        if (_server is { } server)
        {
            await server.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<ActionResult> PromoteAsync(Place place, InstanceOrder order, Epoch epoch, CancellationToken cancellation)
    {
        var promoted = await new Promotion(place, _server!, _watch).PromoteAsync(epoch, order.Replication ?? new ReplicationOrder(), cancellation).ConfigureAwait(false);
        _ = promoted.Succeeded ? NewPrimary.SettleAsync(place, closing) : Task.CompletedTask;
        return promoted;
    }
}
