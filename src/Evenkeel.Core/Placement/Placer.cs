using Evenkeel.Core.Model;

namespace Evenkeel.Core.Placement;

/// <summary>
/// Where services go. What stands well stays (pass one reserves it), what is missing is added one instance at a time to the
/// best node left (pass two): so a small change moves little, and two runs over the same input agree. Greedy on purpose: an
/// optimal packing would move half the cluster for one lost node.
/// </summary>
public sealed class Placer
{
    private readonly NodeRoom[] rooms;
    private readonly Dictionary<NodeName, NodeRoom> byName;
    private readonly Dictionary<string, int> dimensions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Placed> placed = new(StringComparer.Ordinal);

    private sealed class Placed(ServiceSpec spec, double[] needs, int rooms, int order)
    {
        public int Order => order;
        public ServiceSpec Spec => spec;
        public double[] Needs => needs;
        public bool[] On { get; } = new bool[rooms];
        public List<NodeRoom> Rooms { get; } = [];
        /// <summary>Who must not be on the same node, and who, placed before it, must.</summary>
        public Placed[] Strangers { get; set; } = [];
        public Placed[] Friends { get; set; } = [];
    }

    /// <param name="nodes">Every node, in an order that breaks ties.</param>
    /// <param name="services">In <see cref="PlacementOrder"/>: each after those it must share a node with.</param>
    public Placer(IEnumerable<NodeRoom> nodes, IReadOnlyCollection<ServiceSpec> services)
    {
        rooms = [.. nodes];
        for (var i = 0; i < rooms.Length; i++) rooms[i].Index = i;
        byName = rooms.ToDictionary(room => room.Name);
        foreach (var need in services.SelectMany(service => service.Needs.Keys)) dimensions.TryAdd(need, dimensions.Count);
        foreach (var room in rooms)
        {
            room.Count = 0;
            room.Left = new double[dimensions.Count];
            Array.Fill(room.Left, double.PositiveInfinity);
            foreach (var (name, amount) in room.Spec.Capacity)
                if (dimensions.TryGetValue(name, out var dimension)) room.Left[dimension] = amount;
        }
        foreach (var service in services)
        {
            var needs = new double[dimensions.Count];
            foreach (var (name, amount) in service.Needs) needs[dimensions[name]] = amount;
            placed[service.Name] = new Placed(service, needs, rooms.Length, placed.Count);
        }
        var apart = services.SelectMany(service => service.Placement.Apart.SelectMany(other =>
            new[] { (From: service.Name, To: other), (From: other, To: service.Name) })).Distinct().ToLookup(pair => pair.From, pair => pair.To);
        foreach (var one in placed.Values)
        {
            if (apart.Contains(one.Spec.Name)) one.Strangers = [.. apart[one.Spec.Name].Where(placed.ContainsKey).Select(other => placed[other])];
            if (one.Spec.Placement.With.Count > 0)
                one.Friends = [.. one.Spec.Placement.With.Where(placed.ContainsKey).Select(other => placed[other]).Where(friend => friend.Order < one.Order)];
        }
    }

    /// <summary>Where the service stands; in the order of placing.</summary>
    public IReadOnlyList<NodeName> Where(string service) => [.. placed[service].Rooms.Select(room => room.Name)];

    /// <summary>Pass one: the service stays on those of <paramref name="current"/> where it may.</summary>
    public void Keep(ServiceSpec service, IEnumerable<NodeName> current, int wanted)
    {
        var mine = placed[service.Name];
        foreach (var name in current)
        {
            if (mine.Rooms.Count >= wanted) return;
            if (byName.TryGetValue(name, out var room) && room.Availability is Availability.Open or Availability.Reluctant or Availability.Keeps && Fits(mine, room))
                Take(mine, room);
        }
    }

    /// <summary>
    /// What the file demands and does not have while the service stands on the node, in words; null when nothing. Only what was placed before
    /// counts: of two that must be apart one stays. What the file merely prefers is nothing of this.
    /// </summary>
    public string? Violation(ServiceSpec service, NodeName node)
    {
        var mine = placed[service.Name];
        if (!byName.TryGetValue(node, out var room) || mine.On[room.Index]) return null;
        if (mine.Strangers.FirstOrDefault(stranger => stranger.On[room.Index]) is { } stranger) return $"it must not share a node with {stranger.Spec.Name}";
        if (mine.Friends.FirstOrDefault(friend => friend.Rooms.Count > 0 && !friend.On[room.Index]) is { } friend) return $"it must share a node with {friend.Spec.Name}";
        return dimensions.Where(dimension => mine.Needs[dimension.Value] > room.Left[dimension.Value]).Select(dimension => $"there is not enough {dimension.Key} for it").FirstOrDefault();
    }

    /// <summary>Pass two: fills up to <paramref name="wanted"/>; <paramref name="current"/> nodes that are lost or leaving serve as a last resort.</summary>
    /// <param name="penalty">For a node: 0, or more where something speaks against it (a start failed there lately); null forbids it.</param>
    public void Fill(ServiceSpec service, IReadOnlyList<NodeName> current, int wanted, Func<NodeName, int?>? penalty = null)
    {
        var mine = placed[service.Name];
        while (mine.Rooms.Count < wanted && Best(mine, current, penalty) is { } room) Take(mine, room);
    }

    private NodeRoom? Best(Placed mine, IReadOnlyList<NodeName> current, Func<NodeName, int?>? penalty)
    {
        NodeRoom? best = null;
        var bestScore = long.MaxValue;
        var placement = mine.Spec.Placement;
        // A thousand services look at a hundred rooms each, three times: what holds for all rooms is asked once.
        var indifferent = placement.Avoid.Count == 0 && placement.Prefer.Count == 0;
        foreach (var room in rooms)
        {
            if (mine.On[room.Index]) continue;
            var tier = room.Availability == Availability.Open ? 0 : Tier(room, current);
            if (tier < 0) continue;
            // Most rooms are no better than the best so far even if nothing speaks against them: only for the few others is it worth to ask.
            var (avoided, preference) = indifferent ? (false, 0) : (IndexOf(placement.Avoid, room.Name) >= 0, Preference(placement, room.Name));
            if (Score(tier, 0, avoided, preference, room.Count) >= bestScore || !Fits(mine, room)) continue;
            var against = penalty is null ? 0 : penalty(room.Name);
            if (against is null) continue;
            var score = Score(tier, against.Value, avoided, preference, room.Count);
            if (score < bestScore) (best, bestScore) = (room, score);
        }
        return best;
    }

    // The first that differs decides; 20 bits for each that counts something.
    private static long Score(int tier, int against, bool avoided, int preference, int count) =>
        (long)tier << 61 | (long)Math.Min(against, Most) << 41 | (avoided ? 1L : 0) << 40 | (long)Math.Min(preference, Most) << 20 | (uint)Math.Min(count, Most);

    private const int Most = (1 << 20) - 1;

    private static int Tier(NodeRoom room, IReadOnlyList<NodeName> current) => room.Availability switch
    {
        Availability.Open => 0,
        Availability.Reluctant => 1,
        Availability.Leaving when IndexOf(current, room.Name) >= 0 => 2,
        Availability.Keeps or Availability.Lost when IndexOf(current, room.Name) >= 0 => 3,
        _ => -1,
    };

    private static int Preference(PlacementSpec placement, NodeName node)
    {
        if (placement.Prefer.Count == 0) return 0;
        var index = IndexOf(placement.Prefer, node);
        return index < 0 ? placement.Prefer.Count : index;
    }

    private static bool Fits(Placed mine, NodeRoom room)
    {
        if (mine.On[room.Index]) return false;
        for (var i = 0; i < mine.Needs.Length; i++)
            if (mine.Needs[i] > room.Left[i]) return false;
        foreach (var stranger in mine.Strangers)
            if (stranger.On[room.Index]) return false;
        foreach (var friend in mine.Friends)
            if (!friend.On[room.Index]) return false;
        return true;
    }

    private static void Take(Placed mine, NodeRoom room)
    {
        mine.On[room.Index] = true;
        mine.Rooms.Add(room);
        room.Count++;
        for (var i = 0; i < mine.Needs.Length; i++) room.Left[i] -= mine.Needs[i];
    }

    private static int IndexOf(IReadOnlyList<NodeName> list, NodeName node)
    {
        for (var i = 0; i < list.Count; i++)
            if (list[i] == node) return i;
        return -1;
    }
}
