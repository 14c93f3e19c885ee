using System.Globalization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;

namespace Evenkeel.Services.Volume;

/// <summary>What is known of a volume's two processes.</summary>
/// <param name="Told">The present agent has given an order.</param>
/// <param name="Epoch">The writer's; null while there is none.</param>
/// <param name="Failure">Why one of them ended though it should not have.</param>
internal sealed record VolumeView(
    string Instance, InstanceOrder? Order, bool Told, int? LegProcess, LegReport? Leg, Epoch? Epoch, WriterReport? Writer, string? Failure, int Restarts);

/// <summary>A volume's processes as an instance's facts. Pure.</summary>
internal static class VolumeFacts
{
    public static InstanceFacts Of(VolumeView view)
    {
        var (leg, writer, committed) = (view.Leg, view.Writer, view.Order?.Replication?.Data);
        var problem = view.Failure ?? leg?.Problem;
        var status = problem is not null && view.Epoch is null ? InstanceStatus.Failed
            : view.LegProcess is null ? InstanceStatus.Stopped : leg is null && view.Epoch is null ? InstanceStatus.Starting : InstanceStatus.Running;
        return new InstanceFacts(view.Instance, status, status == InstanceStatus.Failed ? Core.Model.Health.Unhealthy : HealthOf(view, committed))
        {
            Epoch = view.Epoch,
            ProcessId = view.LegProcess,
            Restarts = view.Restarts,
            Version = view.Told && status == InstanceStatus.Running ? view.Order?.Version ?? 0 : 0,
            Position = leg is null ? null : leg.Complete ? leg.Events + 1 : 0,
            Detail = problem ?? WordsOf(writer),
            // Nothing is known of a writer that has not spoken: its legs are not lost for that.
            Replication = (view.Epoch is null ? leg is null : writer is null) ? null : new ReplicationFacts
            {
                // Data counts once it is complete: before, whoever begins makes it anew.
                Data = view.Epoch is null ? leg?.Data : writer?.Data ?? committed,
                Timeline = leg is null ? 0 : TimelineOf(leg.Epoch),
                Upstream = view.Epoch is null ? view.Order?.Replication?.Upstream?.Node : null,
                Streaming = view.Epoch is null && leg is not null,
                Required = writer?.Required ?? [],
                Synchronous = writer?.Synchronous ?? [],
                Followers = writer?.Followers ?? [],
                Asynchronous = writer?.Asynchronous ?? [],
            },
        };
    }

    private static string WordsOf(WriterReport? writer) => writer switch
    {
        null => "",
        { Detail.Length: > 0 } => writer.Detail,
        { Frozen: > 0 } => "I/O waits for a leg to be put out",
        { Activity: not "idle" } => $"{writer.Activity} {writer.DoneBytes >> 20} of {writer.TotalBytes >> 20} MiB",
        _ => string.Join("; ", writer.Asynchronous.Where(leg => leg.BacklogBytes > 0).Select(leg => string.Create(CultureInfo.InvariantCulture, $"{leg.Node} lacks {leg.BacklogBytes >> 10} KiB"))),
    };

    // The service may begin when a leg that is lost with it cannot be made anew by mistake.
    private static Core.Model.Health HealthOf(VolumeView view, string? committed)
    {
        if (view.Leg is null)
        {
            return Core.Model.Health.Unknown;
        }

        return view.Epoch is null || (view.Writer is { Phase: WriterPhase.Mounted } && committed is not null && view.Leg.Data == committed)
            ? Core.Model.Health.Healthy : Core.Model.Health.Unknown;
    }

    // Of two legs, the one that was written under the later epoch counts: 8 bits of incarnation, 23 of number.
    private static int TimelineOf(Epoch epoch) => (Math.Min(epoch.Incarnation, 255) << 23) | (int)Math.Min(epoch.Number, (1 << 23) - 1);
}
