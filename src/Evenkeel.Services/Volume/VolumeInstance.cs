using System.Diagnostics;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.Volumes;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Volume;

/// <summary>
/// One volume on this node: the server of its leg, which runs whenever the node may run anything, and the writer, while the node
/// owns the volume. What they say becomes the instance's facts: the writer is the active instance, a leg a standby.
/// </summary>
internal sealed class VolumeInstance : IAsyncDisposable
{
    private static readonly TimeSpan LaunchLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(5);
    private const int Terminate = 15, Kill = 9;

    private readonly VolumePlace _place;
    private readonly InstanceReport _report;
    private readonly ProcessLink<LegOrder, LegReport> _legLink;
    private readonly ProcessLink<WriterOrder, WriterReport> _writerLink;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Lock _gate = new();
    private InstanceOrder? _order;
    private WriterOrder _writerOrder = new();
    private WriterReport? _lastWords;
    private string? _failure;
    private bool _endingWriter, _endingLeg, _told;
    private int _restarts;
    // What a leg says that it refused before is on the trail, or was told to an earlier agent.
    private long _named = Stopwatch.GetTimestamp();

    /// <param name="refused">Told whom its leg turned away (an address), and why.</param>
    public VolumeInstance(string name, IGuardLink guard, VolumeSettings settings, Action<InstanceFacts> tell, Action<string?, string> refused)
    {
        _place = new VolumePlace(name, settings);
        _report = new InstanceReport(_place.Writer, tell);
        Leg = new GuardedProcess(_place.Leg, guard);
        Writer = new GuardedProcess(_place.Writer, guard);
        Leg.Ended += reason => OnEnded(ref _endingLeg, $"the server of its leg {reason}");
        Writer.Ended += reason => OnEnded(ref _endingWriter, $"its writer {reason}");
        _legLink = new(_place.LegControl, VolumeJson.Default.LegOrder, VolumeJson.Default.LegReport, report =>
        {
            foreach (var stranger in report?.Refused.Where(one => one.At > _named) ?? [])
            {
                _named = stranger.At;
                refused(stranger.From, stranger.Reason);
            }

            Tell();
        });
        _writerLink = new(_place.WriterControl, VolumeJson.Default.WriterOrder, VolumeJson.Default.WriterReport, report =>
        {
            _lastWords = report ?? _lastWords;
            Tell();
        });
    }

    public GuardedProcess Leg { get; }
    public GuardedProcess Writer { get; }
    public InstanceFacts Facts => _report.Facts;
    /// <summary>What the writer of this node says; null while it has none.</summary>
    public WriterReport? WriterReport => Writer.Id is null ? null : _writerLink.Report;

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation) => InTurnAsync(async () =>
    {
        if (await ServeLegAsync(order, cancellation).ConfigureAwait(false) is { Succeeded: false } failed)
        {
            return failed;
        }

        lock (_gate)
        {
            (_order, _failure, _told) = (order, null, true);
        }

        await _legLink.OrderAsync(new LegOrder(order.Replication?.Data, [.. ((VolumeDriverSpec)order.Spec.Driver).Volume.Legs.Select(leg => leg.Node)])).ConfigureAwait(false);
        if (order.Epoch is { } current)
        {
            await RequireAsync(order, current).ConfigureAwait(false);
        }

        var started = order is { Epoch: { } epoch, Replication.Initialise: true } && Writer.Id is null
            ? await WriteAsync(epoch, cancellation).ConfigureAwait(false) : ActionResult.Success;
        Tell();
        return started;
    }, cancellation);

    public Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation) => InTurnAsync(() => WriteAsync(epoch, cancellation), cancellation);

    /// <summary>Unmounts and stops the array in order; one that does not end in time is killed, which loses nothing that was flushed.</summary>
    public Task<ActionResult> DemoteAsync(CancellationToken cancellation) => InTurnAsync(() => EndWriterAsync(cancellation), cancellation);

    public Task<ActionResult> StopAsync(CancellationToken cancellation) => InTurnAsync(async () =>
    {
        if (await EndWriterAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stays)
        {
            return stays;
        }

        _endingLeg = true;
        var ended = await EndAsync(Leg, KillPatience, cancellation).ConfigureAwait(false);
        lock (_gate)
        {
            (_failure, _told) = (null, false);
        }

        Tell();
        return ended ? ActionResult.Success : ActionResult.Failure("the server of its leg did not end even when killed");
    }, cancellation);

    /// <summary>Compares all legs in the background; null when this node is not the writer.</summary>
    public async Task<long?> VerifyAsync(bool repair)
    {
        if (WriterReport is not { Phase: WriterPhase.Mounted } report)
        {
            return null;
        }

        var order = _writerOrder = _writerOrder with { Verify = Math.Max(_writerOrder.Verify, report.Verified) + 1, Repair = repair };
        await _writerLink.OrderAsync(order).ConfigureAwait(false);
        return order.Verify;
    }

    public void OnAdopted(RunningInstance running)
    {
        (running.Instance == _place.Leg ? Leg : Writer).OnAdopted(running);
        Tell();
    }

    public async ValueTask DisposeAsync()
    {
        await _legLink.DisposeAsync().ConfigureAwait(false);
        await _writerLink.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<ActionResult> ServeLegAsync(InstanceOrder order, CancellationToken cancellation)
    {
        var request = _place.LegRequest(((VolumeDriverSpec)order.Spec.Driver).Volume, order.Node);
        if (Leg.Id is not null && Leg.Request?.SameAs(request) == false && Writer.Id is null)
        {
            _endingLeg = true;
            await EndAsync(Leg, KillPatience, cancellation).ConfigureAwait(false);
        }

        if (Leg.Id is null)
        {
            _endingLeg = false;
            Directory.CreateDirectory(_place.Settings.RunDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            if (await Leg.LaunchAsync(request, LaunchLimit, cancellation).ConfigureAwait(false) is { } problem)
            {
                return Fail($"the server of its leg cannot be started: {problem}");
            }
        }

        try
        {
            var report = await _legLink.FirstReport.WaitAsync(LaunchLimit, cancellation).ConfigureAwait(false);
            return report.Problem is { } problem ? Fail(problem) : ActionResult.Success;
        }
        catch (TimeoutException)
        {
            return Fail("the server of its leg does not answer");
        }
    }

    private async Task<ActionResult> WriteAsync(Epoch epoch, CancellationToken cancellation)
    {
        if (_order is not { } order || Leg.Id is null)
        {
            return ActionResult.Failure("its leg is not served here");
        }

        if (Writer.Id is not null)
        {
            if (Writer.Request?.Lease?.Epoch == epoch)
            {
                return ActionResult.Success;
            }

            if (await EndWriterAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stays)
            {
                return stays;
            }
        }

        _endingWriter = false;
        (_failure, _lastWords) = (null, null);
        await RequireAsync(order, epoch).ConfigureAwait(false);
        if (await Writer.LaunchAsync(_place.WriterRequest(order, epoch), LaunchLimit, cancellation).ConfigureAwait(false) is { } problem)
        {
            return ActionResult.Failure($"its writer cannot be started: {problem}");
        }

        Tell();
        return ActionResult.Success;
    }

    private Task RequireAsync(InstanceOrder order, Epoch epoch)
    {
        var volume = ((VolumeDriverSpec)order.Spec.Driver).Volume;
        _writerOrder = _writerOrder with
        {
            Epoch = epoch, Required = order.Replication?.Required ?? [], SyncRate = volume.SyncRate, Backlog = volume.Backlog, Block = volume.BlockOnCongestion,
            Asynchronous = [.. volume.Asynchronous.Where(node => node != order.Node.Name)], Held = order.Replication?.Held ?? [],
        };
        return _writerLink.OrderAsync(_writerOrder);
    }

    private async Task<ActionResult> EndWriterAsync(CancellationToken cancellation)
    {
        _endingWriter = true;
        var ended = await EndAsync(Writer, _order?.Spec.Driver.StopTimeout ?? KillPatience, cancellation).ConfigureAwait(false);
        Tell();
        return ended ? ActionResult.Success : ActionResult.Failure("its writer did not end even when killed");
    }

    private static async Task<bool> EndAsync(GuardedProcess process, TimeSpan patience, CancellationToken cancellation)
    {
        if (process.Id is null)
        {
            return true;
        }

        process.Signal(Terminate);
        if (await process.EndsWithinAsync(patience, cancellation).ConfigureAwait(false))
        {
            return true;
        }

        process.Signal(Kill, tree: true);
        return await process.EndsWithinAsync(KillPatience, cancellation).ConfigureAwait(false);
    }

    private void OnEnded(ref bool ending, string reason)
    {
        lock (_gate)
        {
            if (!ending)
            {
                _failure = _lastWords is { Detail.Length: > 0 } said && Writer.Id is null ? $"{reason}: {said.Detail}" : reason;
                _restarts++;
            }
        }

        Tell();
    }

    private ActionResult Fail(string reason)
    {
        lock (_gate)
        {
            _failure = reason;
        }

        Tell();
        return ActionResult.Failure(reason);
    }

    private async Task<ActionResult> InTurnAsync(Func<Task<ActionResult>> act, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await act().ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return Fail(failure.Message);
        }
        finally
        {
            _turn.Release();
        }
    }

    private void Tell() => _report.Set(_ => VolumeFacts.Of(new VolumeView(
        _place.Writer, _order, _told, Leg.Id, Leg.Id is null ? null : _legLink.Report, Writer.Id is null ? null : Writer.Request?.Lease?.Epoch,
        WriterReport, _failure, _restarts)));
}
