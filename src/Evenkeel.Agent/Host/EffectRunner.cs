using System.Net;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Carries the loop's effects out: in order where they go to the same place (the guard's pipe, a peer, one instance),
/// concurrently otherwise; every outcome comes back as an event. Called on the loop's thread and never blocks it.
/// </summary>
internal sealed class EffectRunner(
    ICoordinationStore store, string storePrefix, IPeerTransport peers, ReconnectingGuard guard, DriverSet drivers, FrontDoors doors, FenceDevices fences, BackupRunner backups,
    GuardConfigurator configurator, EventLog events, Action rereadStore, CancellationToken stopping)
{
    /// <summary>An action that has not ended by itself in this time is reported as failed, whatever its driver does.</summary>
    private static readonly TimeSpan LongestAction = TimeSpan.FromMinutes(30);

    /// <summary>Where outcomes go; set before the loop starts.</summary>
    public required Action<AgentEvent> Post { get; init; }

    /// <summary>Called on the loop's thread with everything that the loop says.</summary>
    public required Action<Announcement> Announced { get; init; }

    /// <summary>Called once when the state's format is later than this program reads.</summary>
    public required Action<int> TooNew { get; init; }

    // One beat goes to every peer: it is encoded once a version.
    private (Beat? Beat, byte Version, byte[] Bytes) _encoded;

    private byte[] Encode(SendBeat beat)
    {
        // Who has not told yet is spoken to as the oldest that may be there.
        var version = Math.Clamp(peers.VersionOf(beat.To) ?? BeatCodec.Oldest, BeatCodec.Oldest, BeatCodec.Version);
        if (_encoded.Beat != beat.Beat || _encoded.Version != version)
        {
            _encoded = (beat.Beat, version, BeatCodec.Encode(beat.Beat, version));
        }

        return _encoded.Bytes;
    }

    public void CarryOut(IReadOnlyList<Effect> effects)
    {
        foreach (var effect in effects)
        {
            switch (effect)
            {
                case SendBeat beat: peers.Send(beat.To, Encode(beat)); break;
                case StateTooNew newer: TooNew(newer.Format); break;
                case ToGuard message: guard.Send(message.Message); break;
                case ConfigureGuard configure: configurator.Configure(configure.Spec); break;
                case Commit commit: _ = CommitAsync(commit.Transaction); break;
                case ReadFloors floors: _ = ReadFloorsAsync(floors); break;
                case RereadStore: rereadStore(); break;
                case OpenDoor open: doors.Open(open.Listener); break;
                case QuietDoor quiet: _ = QuietDoorAsync(quiet); break;
                case ReopenDoor reopen: doors.Reopen(reopen.Resource, reopen.Lost); break;
                case CloseDoor close: _ = CloseDoorAsync(close); break;
                case InstanceAction action: _ = ActAsync(action); break;
                case FenceNode fence: _ = FenceAsync(fence); break;
                case RunBackup run: backups.Run(run); break;
                case StopBackup stop: backups.Stop(stop); break;
                case PublishRoutes routes: doors.Publish(routes.Table); break;
                case Announce announce:
                    events.Add(announce.Announcement);
                    Announced(announce.Announcement);
                    break;
                default: throw new InvalidOperationException($"no one carries out {effect.GetType().Name}");
            }
        }
    }

    private async Task CommitAsync(Transaction transaction)
    {
        await Task.Yield();
        var result = await store.CommitAsync(transaction, stopping).ConfigureAwait(false);
        Post(new CommitCompleted(transaction.RequestId, result));
    }

    private async Task ReadFloorsAsync(ReadFloors floors)
    {
        await Task.Yield();
        var barrier = await store.CommitAsync(floors.Barrier, stopping).ConfigureAwait(false);
        if (barrier.Outcome != CommitOutcome.Committed)
        {
            Post(new FloorsRead(floors.Session, 0, null, $"the barrier was not committed ({barrier.Outcome}): {barrier.Reason}"));
            return;
        }

        try
        {
            var snapshot = await store.ReadAsync(storePrefix, stopping).ConfigureAwait(false);
            Post(new FloorsRead(floors.Session, barrier.Revision, snapshot));
        }
        catch (Exception exception) when (exception is StoreUnavailableException or OperationCanceledException)
        {
            Post(new FloorsRead(floors.Session, barrier.Revision, null, exception.Message));
        }
    }

    private async Task CloseDoorAsync(CloseDoor close)
    {
        await Task.Yield();
        await doors.CloseAsync(close.Resource, close.Within).ConfigureAwait(false);
        Post(new DoorClosed(close.Resource, close.Epoch));
    }

    private async Task QuietDoorAsync(QuietDoor quiet)
    {
        // Begun on the loop's thread: a reopening that follows must not be overtaken.
        await doors.QuietAsync(quiet.Resource, quiet.Within).ConfigureAwait(false);
        Post(new DoorQuiet(quiet.Resource, quiet.Epoch));
    }

    private async Task FenceAsync(FenceNode fence) => Post(await fences.CutOffAsync(fence).ConfigureAwait(false));

    private async Task ActAsync(InstanceAction action)
    {
        await Task.Yield();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        limit.CancelAfter(LongestAction);
        ActionResult result;
        try
        {
            result = action switch
            {
                StartInstance start => await drivers.StartAsync(start.Order, limit.Token).ConfigureAwait(false),
                LookAtData look => await drivers.LookAsync(look.Order, limit.Token).ConfigureAwait(false),
                StopInstance stop => await drivers.StopAsync(stop.Service, limit.Token).ConfigureAwait(false),
                PromoteInstance promote => await drivers.PromoteAsync(promote.Service, promote.Epoch, limit.Token).ConfigureAwait(false),
                DemoteInstance demote => await drivers.DemoteAsync(demote.Service, limit.Token).ConfigureAwait(false),
                _ => throw new InvalidOperationException($"no driver knows {action.GetType().Name}"),
            };
        }
        catch (OperationCanceledException)
        {
            result = ActionResult.Failure("it did not end in time");
        }

        Post(new ActionCompleted(action.ActionId, result));
    }
}
