using System.Collections.Concurrent;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Hosting;
using Evenkeel.Raid.Nbd;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// The writer's array over the legs that the cluster names, kept to what it names: legs that are left out are ejected, legs that
/// are new get what they lack (by the bitmap where they were away shortly). Only orders change who belongs.
/// </summary>
internal sealed class LegArray : IAsyncDisposable
{
    private const long ChunkBytes = 512 * 1024;
    private static readonly TimeSpan DrainPatience = TimeSpan.FromSeconds(3);
    private readonly RaidArray _array;
    private readonly ArrayHost _host;
    private readonly IReadOnlyDictionary<NodeName, LegLink> _links;
    private readonly Action _changed;
    private readonly Action<string> _fatal;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<NodeName, LegDevice> _devices;
    private readonly HashSet<NodeName> _applied;
    private readonly LaggingLegs _lagging;
    private readonly Task _keeping;
    private WriterOrder _order = new();
    private long _verifying;

    private LegArray(RaidArray array, IReadOnlyDictionary<NodeName, LegLink> links, Dictionary<NodeName, LegDevice> devices, NodeName self, Action changed, Action<string> fatal, Action<string> log)
    {
        (_array, _links, _changed, _fatal) = (array, links, changed, fatal);
        _devices = new ConcurrentDictionary<NodeName, LegDevice>(devices);
        _applied = [.. devices.Keys.Where(node => node != self)];
        _lagging = new LaggingLegs(array, links, changed, log);
        _host = new ArrayHost(array, "", OpenAsync, log);
        _keeping = _host.RunAsync(_stop.Token);
    }

    public RaidArray Array => _array;
    public string Data => _array.Id.ToString();
    /// <summary>Legs of other nodes that every write waits for now.</summary>
    public IReadOnlyList<NodeName> Applied { get { lock (_applied) { return [.. _applied.Order()]; } } }
    public IReadOnlyList<NodeName> Synchronous => [.. Applied.Where(node => _links[node].IsUsable && IsInSync(node))];
    /// <summary>Legs that are written to after the answer.</summary>
    public IReadOnlyList<AsynchronousLeg> Asynchronous => _lagging.Report(_order);
    public int Frozen => _devices.Values.Sum(device => device.Waiting) + _lagging.Frozen;
    public ArrayReport Report => _host.Report();
    /// <summary>The verification that ended last.</summary>
    public long Verified { get; private set; }

    /// <summary>
    /// Makes the array where nobody has any data, or assembles it of exactly these legs. Null with the leg's node when one that is
    /// waited for has not what it should: it must be put out first.
    /// </summary>
    /// <param name="opening">Told each leg that it opens. One that fails then is waited for until whoever was told expels it.</param>
    /// <exception cref="IOException">The own leg cannot be used, with the words for the user.</exception>
    public static async Task<(LegArray? Array, bool Made, NodeName? Unfit)> OpenAsync(
        WriterSettings settings, IReadOnlyDictionary<NodeName, LegLink> links, IReadOnlyCollection<NodeName> others, Action<LegDevice> opening,
        Action changed, Action<string> fatal, Action<string> log)
    {
        var looks = new Dictionary<NodeName, (LegRecord? Record, MdSuperblock? Superblock)>();
        foreach (var node in others.Append(settings.Node))
        {
            try
            {
                looks[node] = await links[node].LookAsync().ConfigureAwait(false);
            }
            catch (IOException gone) when (node != settings.Node)
            {
                log($"leg of {node}: {gone.Message}");
                return (null, false, node);
            }
        }

        // Nothing was ever acknowledged: what an unfinished first time left counts for nothing. A user's own array is taken over.
        var make = settings.Initialise && looks.Values.All(look => look.Record is { Data: null } && (look.Record.Fresh || look.Superblock is null));
        if (!make)
        {
            if (looks[settings.Node].Superblock is not { } own || (settings.Data is { } data && own.ArrayId.ToString() != data))
            {
                throw new IOException("the leg of this node does not hold the volume's data");
            }

            if (looks.Where(look => look.Value.Superblock?.ArrayId != own.ArrayId).Select(look => (NodeName?)look.Key).FirstOrDefault() is { } stranger)
            {
                return (null, false, stranger);
            }
        }

        var devices = new Dictionary<NodeName, LegDevice>();
        var options = new ArrayOptions { OnEvent = happened => { log($"{settings.Volume.Name}: {happened.Kind} {happened.Member} {happened.Detail}"); changed(); }, SyncBytesPerSecond = settings.Volume.SyncRate };
        try
        {
            foreach (var node in looks.Keys)
            {
                NbdClient client;
                try
                {
                    client = await links[node].ConnectForDataAsync().ConfigureAwait(false);
                }
                catch (IOException gone) when (node != settings.Node)
                {
                    log($"leg of {node}: {gone.Message}");
                    await DropAsync(devices.Values).ConfigureAwait(false);
                    return (null, false, node);
                }

                opening(devices[node] = new LegDevice(links[node], client, changed, fatal));
            }

            var array = make ? await MakeAsync(settings, devices, looks.Values.All(look => look.Record!.Fresh), options).ConfigureAwait(false)
                : await ArrayAssembly.OpenAsync([.. devices.Values], options).ConfigureAwait(false);
            if (devices.Keys.Where(node => !IsInSync(array, devices[node])).Select(node => (NodeName?)node).OrderBy(node => node == settings.Node ? 0 : 1).FirstOrDefault() is not { } behind)
            {
                // What the other legs hold beyond this one is given up, and they are never taken for what has a share in what comes now.
                await array.ForkAsync(make ? 0 : looks[settings.Node].Record?.ForkEvents ?? 0).ConfigureAwait(false);
                return (new LegArray(array, links, devices, settings.Node, changed, fatal, log), make, null);
            }

            foreach (var device in devices.Values)
            {
                device.Expel();
            }

            try
            {
                await array.DisposeAsync().ConfigureAwait(false);
            }
            catch (IOException)
            {
                // Its members are closed; nothing was written.
            }

            if (behind == settings.Node)
            {
                throw new IOException("the leg of this node is behind by its own metadata");
            }

            return (null, false, behind);
        }
        catch (Exception failure) when (failure is IOException or MdFormatException or AssemblyRefusedException or ArgumentException
            && devices.Values.FirstOrDefault(device => device is { IsExpelled: true, IsLocal: false }) is { } lost)
        {
            // Put out while it was being opened: it is opened anew without it, as by a writer that comes after this one.
            log($"leg of {lost.Node}: {failure.Message}");
            await DropAsync(devices.Values).ConfigureAwait(false);
            return (null, false, lost.Node);
        }
        catch (Exception failure) when (failure is MdFormatException or AssemblyRefusedException or ArgumentException)
        {
            await DropAsync(devices.Values).ConfigureAwait(false);
            throw new IOException(failure.Message, failure);
        }
        catch (IOException)
        {
            await DropAsync(devices.Values).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Legs that the cluster has put out are waited for no more, at once: whatever else is under way may be waiting for them.
    /// </summary>
    public void Release(WriterOrder order)
    {
        foreach (var (node, device) in _devices)
        {
            if (!_links[node].IsLocal && !order.Required.Contains(node))
            {
                device.Expel();
            }
        }

        _lagging.Release(order);
    }

    /// <summary>Brings the array to what the cluster says; what cannot be done yet is done by a later call.</summary>
    public async Task FollowAsync(WriterOrder order)
    {
        _order = order;
        _array.SyncBytesPerSecond = order.SyncRate;
        // Also whom an order put out that the next one, which takes it in again, has overtaken: its device is shut for good.
        foreach (var node in Applied.Where(node => !order.Required.Contains(node) || (_devices.TryGetValue(node, out var device) && device.IsExpelled)).ToList())
        {
            await PutOutAsync(node).ConfigureAwait(false);
        }

        await _lagging.FollowAsync(order, async node => (await _host.ObeyAsync(new HostOrder("add", Device: $"leg:{node}")).ConfigureAwait(false)).Error).ConfigureAwait(false);
        foreach (var node in order.Required.Except(Applied).Where(node => _links.TryGetValue(node, out var link) && link.IsUsable).ToList())
        {
            await TakeInAsync(node).ConfigureAwait(false);
        }

        if (order.Verify > Math.Max(_verifying, Verified))
        {
            _verifying = order.Verify;
            await _host.ObeyAsync(new HostOrder(order.Repair ? "repair" : "check")).ConfigureAwait(false);
        }
        else if (_verifying > Verified && _host.Report() is { Mismatches: not null, Activity: not ("check" or "repair") })
        {
            Verified = _verifying;
            _changed();
        }
    }

    /// <summary>Flushes and stops in order; nobody writes any more.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _keeping.ConfigureAwait(false);
        await _lagging.EndAsync(DrainPatience).ConfigureAwait(false);
        await _array.StopAsync().ConfigureAwait(false);
        _host.Dispose();
    }

    private async Task PutOutAsync(NodeName node)
    {
        if (_devices.TryRemove(node, out var device))
        {
            device.Expel();
            if (_array.Members.FirstOrDefault(member => member.Device == device) is { } member)
            {
                await _array.FailAsync(member, "the cluster put it out").ConfigureAwait(false);
                await _array.RemoveAsync(member).ConfigureAwait(false);
            }
        }

        // Taken in anew it gets what it missed, so what it may have lost counts no more.
        _links[node].Broken = false;
        lock (_applied)
        {
            _applied.Remove(node);
        }

        _changed();
    }

    private async Task TakeInAsync(NodeName node)
    {
        var answer = await _host.ObeyAsync(new HostOrder("add", Device: $"leg:{node}")).ConfigureAwait(false);
        if (answer.Error is not null)
        {
            if (_devices.TryRemove(node, out var unused))
            {
                unused.Expel();
            }

            return;
        }

        lock (_applied)
        {
            _applied.Add(node);
        }

        _changed();
    }

    private async Task<IMemberDevice> OpenAsync(string name)
    {
        var node = new NodeName(name["leg:".Length..]);
        if (_order.Asynchronous.Contains(node) && !_order.Required.Contains(node))
        {
            return await _lagging.OpenAsync(node, _order).ConfigureAwait(false);
        }

        var device = new LegDevice(_links[node], await _links[node].ConnectForDataAsync().ConfigureAwait(false), _changed, _fatal);
        _devices[node] = device;
        return device;
    }

    private bool IsInSync(NodeName node) => _devices.TryGetValue(node, out var device) && IsInSync(_array, device);

    private static bool IsInSync(RaidArray array, LegDevice device) => array.Members.Any(member => member.Device == device && member is { State: MemberState.InSync, Slot: >= 0 });

    private static async Task<RaidArray> MakeAsync(WriterSettings settings, Dictionary<NodeName, LegDevice> devices, bool zeros, ArrayOptions options)
    {
        var volume = settings.Volume;
        var length = devices.Values.Min(device => device.Length);
        List<IMemberDevice> slots = [.. volume.Legs.Select(leg => devices.TryGetValue(leg.Node, out var device) ? (IMemberDevice)device : new VoidDevice($"leg:{leg.Node}", length))];
        var share = volume.Level == 10 ? (volume.Size * 2 / volume.Legs.Count + ChunkBytes - 1) / ChunkBytes * ChunkBytes : volume.Size;
        var array = await ArrayCreation.CreateAsync(new ArrayDefinition
        {
            Level = volume.Level == 10 ? RaidLevel.Raid10 : RaidLevel.Raid1,
            Name = volume.Name.Length <= 32 ? volume.Name : volume.Name[..32],
            Slots = slots.Count,
            MemberBytes = share,
            AssumeClean = zeros,
        }, slots, options).ConfigureAwait(false);
        foreach (var absent in array.Members.Where(member => member.Device is VoidDevice).ToList())
        {
            await array.FailAsync(absent, "it was not there when the volume was made").ConfigureAwait(false);
            await array.RemoveAsync(absent).ConfigureAwait(false);
        }

        return array;
    }

    private static async Task DropAsync(IEnumerable<LegDevice> devices)
    {
        foreach (var device in devices)
        {
            await device.DisposeAsync().ConfigureAwait(false);
        }
    }
}
