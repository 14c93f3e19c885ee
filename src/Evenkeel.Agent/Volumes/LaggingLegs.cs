using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// The writer's asynchronous legs: each a member of the array behind a backlog. One that fell behind is ejected, and after a pause taken
/// in anew, by the bitmap. Orders come on any thread; whoever changes the array does so in turn.
/// </summary>
internal sealed class LaggingLegs(RaidArray array, IReadOnlyDictionary<NodeName, LegLink> links, Action changed, Action<string> log)
{
    // A line that is too slow for what is written fills the backlog again at once: each time costs a change of the array's metadata.
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private readonly Lock _gate = new();
    private readonly Dictionary<NodeName, Leg> _legs = [];

    /// <param name="Device">The last one; behind and released once the leg is out of the array.</param>
    /// <param name="OutAt">When it was ejected; null while it is in the array.</param>
    private sealed record Leg(BacklogDevice Device, long? OutAt);

    /// <summary>Requests that wait until nobody may take over on a leg that fell behind.</summary>
    public int Frozen => Legs().Sum(leg => leg.Leg.Device.Frozen);

    /// <summary>What a member stands on, while its leg is being taken in.</summary>
    public async Task<IMemberDevice> OpenAsync(NodeName node, WriterOrder order)
    {
        var device = new BacklogDevice($"leg:{node}", await links[node].ConnectLaggingAsync().ConfigureAwait(false), order.Backlog, order.Block, changed);
        lock (_gate)
        {
            _legs[node] = new Leg(device, null);
        }

        return device;
    }

    /// <summary>What the cluster says of takeovers, at once: writes may wait for it.</summary>
    public void Release(WriterOrder order)
    {
        foreach (var (node, leg) in Legs())
        {
            if (order.Held.Contains(node))
            {
                if (IsFollowing(leg)) leg.Device.Hold();
            }
            else
            {
                leg.Device.Release();
            }
        }
    }

    /// <summary>Brings the array to what the cluster says; what cannot be done yet is done by a later call.</summary>
    /// <param name="takeIn">Adds the leg's device to the array; null, or why not.</param>
    public async Task FollowAsync(WriterOrder order, Func<NodeName, Task<string?>> takeIn)
    {
        Release(order);
        foreach (var (node, leg) in Legs().Where(leg => leg.Leg.OutAt is null))
        {
            var wanted = order.Asynchronous.Contains(node) && !order.Required.Contains(node);
            if (wanted && leg.Device.Behind is null) continue;
            // Somebody may take over there yet: it stays as it is.
            if (order.Held.Contains(node)) continue;
            if (leg.Device.Behind is { } why) log($"the leg of {node} is behind: {why}");
            leg.Device.Abandon("it is written to after the answer no more");
            await EjectAsync(leg.Device).ConfigureAwait(false);
            lock (_gate)
            {
                if (wanted) _legs[node] = leg with { OutAt = Stopwatch.GetTimestamp() };
                else _legs.Remove(node);
            }

            changed();
        }

        foreach (var node in order.Asynchronous.Where(node => !order.Required.Contains(node) && !order.Held.Contains(node) && links[node] is { IsUsable: true } && MayTry(node)).ToList())
        {
            if (await takeIn(node).ConfigureAwait(false) is not { } refusal) continue;
            log($"the leg of {node}: {refusal}");
            lock (_gate)
            {
                if (_legs.TryGetValue(node, out var leg)) _legs[node] = leg with { OutAt = Stopwatch.GetTimestamp() };
            }
        }
    }

    /// <summary>What is queued is given a moment: a leg that has everything by then gets nothing copied by the next writer. Others are left behind.</summary>
    public async Task EndAsync(TimeSpan patience)
    {
        // Nobody writes any more: what is left behind now lacks no more than before, and must not hold up the end.
        foreach (var (_, leg) in Legs().Where(leg => leg.Leg.Device.Behind is not null))
        {
            leg.Device.Release();
        }

        // The books are settled in two rounds beside such legs; the second comes with the array's end.
        await array.SettleAsync().ConfigureAwait(false);
        await Task.WhenAll(Legs().Where(leg => leg.Leg.OutAt is null).Select(leg => leg.Leg.Device.DurableAsync())).WaitAsync(patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var (_, leg) in Legs().Where(leg => leg.Leg.Device.BacklogBytes > 0))
        {
            leg.Device.Abandon("the writer ends");
        }
    }

    public IReadOnlyList<AsynchronousLeg> Report(WriterOrder order) =>
    [
        .. from node in order.Asynchronous.Order()
           let leg = Find(node)
           select leg is null ? new AsynchronousLeg(node, Lag.Behind, 0, null, false, links[node].Problem) : Of(node, leg),
    ];

    private AsynchronousLeg Of(NodeName node, Leg leg) => new(node, IsFollowing(leg) ? Lag.Following : leg.OutAt is null && leg.Device.Behind is null ? Lag.Syncing : Lag.Behind,
        leg.Device.BacklogBytes, TimeSpan.FromMilliseconds(Math.Floor(leg.Device.Age.TotalMilliseconds)), leg.Device.IsHeld, leg.Device.Behind ?? "");

    private bool IsFollowing(Leg leg) => leg.Device.Behind is null && array.Members.Any(member => member.Device == leg.Device && member is { State: MemberState.InSync, Slot: >= 0 });

    private async Task EjectAsync(BacklogDevice device)
    {
        if (array.Members.FirstOrDefault(member => member.Device == device) is not { } member) return;
        await array.FailAsync(member, "it is behind").ConfigureAwait(false);
        await array.RemoveAsync(member).ConfigureAwait(false);
    }

    private bool MayTry(NodeName node) => Find(node) is not { } leg || (leg.OutAt is { } at && Stopwatch.GetElapsedTime(at) >= Pause);

    private Leg? Find(NodeName node)
    {
        lock (_gate)
        {
            return _legs.GetValueOrDefault(node);
        }
    }

    private List<(NodeName Node, Leg Leg)> Legs()
    {
        lock (_gate)
        {
            return [.. _legs.Select(pair => (pair.Key, pair.Value))];
        }
    }
}
