using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.Placement;
using Xunit;

namespace Evenkeel.Tests.Placement;

public sealed class PlacerTests
{
    private static NodeRoom Room(string name, Availability availability = Availability.Open, double? memory = null) => new(new NodeSpec
    {
        Name = new(name),
        Private = [IPAddress.Loopback],
        Capacity = memory is { } amount ? new Dictionary<string, double> { ["memory"] = amount } : new Dictionary<string, double>(),
    }, availability);

    private static ServiceSpec Service(string name, PlacementSpec? placement = null, double memory = 0) => new()
    {
        Name = name,
        Redundancy = Redundancy.Hot,
        Activity = Activity.Spread,
        Instances = 1,
        Driver = new ProcessDriverSpec { Command = ["x"] },
        Placement = placement ?? new PlacementSpec(),
        Needs = memory > 0 ? new Dictionary<string, double> { ["memory"] = memory } : new Dictionary<string, double>(),
    };

    private static string Place(NodeRoom[] rooms, (ServiceSpec Service, string[] Current, int Wanted)[] wishes)
    {
        var placer = new Placer(rooms, [.. wishes.Select(wish => wish.Service)]);
        foreach (var (service, current, wanted) in wishes) placer.Keep(service, current.Select(name => new NodeName(name)), wanted);
        foreach (var (service, current, wanted) in wishes) placer.Fill(service, [.. current.Select(name => new NodeName(name))], wanted);
        return string.Join("; ", wishes.Select(wish => $"{wish.Service.Name}: {string.Join(" ", placer.Where(wish.Service.Name))}"));
    }

    [Fact]
    public void NewServices_Placed_SpreadOverTheNodes() =>
        Assert.Equal("a: n1; b: n2; c: n3", Place([Room("n1"), Room("n2"), Room("n3")], [(Service("a"), [], 1), (Service("b"), [], 1), (Service("c"), [], 1)]));

    [Fact]
    public void WhatStandsWell_NodeComesBack_StaysWhereItIs() =>
        Assert.Equal("a: n2; b: n2", Place([Room("n1"), Room("n2")], [(Service("a"), ["n2"], 1), (Service("b"), ["n2"], 1)]));

    [Fact]
    public void LostNode_SpareThere_IsReplaced_ElseItKeepsItsPlace()
    {
        Assert.Equal("a: n2 n3", Place([Room("n1", Availability.Lost), Room("n2"), Room("n3")], [(Service("a"), ["n1", "n2"], 2)]));
        Assert.Equal("a: n2 n1", Place([Room("n1", Availability.Lost), Room("n2")], [(Service("a"), ["n1", "n2"], 2)]));
        Assert.Equal("a: n1 n2", Place([Room("n1", Availability.Keeps), Room("n2"), Room("n3")], [(Service("a"), ["n1", "n2"], 2)]));
    }

    [Fact]
    public void Capacity_Full_SendsTheNextElsewhere() =>
        Assert.Equal("a: n1; b: n2; c: ", Place([Room("n1", memory: 4), Room("n2", memory: 4)], [(Service("a", memory: 3), [], 1), (Service("b", memory: 3), [], 1), (Service("c", memory: 3), [], 1)]));

    [Fact]
    public void ApartAndWith_Together_AreObeyed()
    {
        var apart = new PlacementSpec { Apart = ["a"] };
        var with = new PlacementSpec { With = ["b"] };
        Assert.Equal("a: n1; b: n2; c: n2", Place([Room("n1"), Room("n2")], [(Service("a"), [], 1), (Service("b", apart), [], 1), (Service("c", with), [], 1)]));
    }

    [Fact]
    public void QuarantinedNode_OnlyOneLeft_IsTaken() =>
        Assert.Equal("a: n1", Place([Room("n1", Availability.Reluctant), Room("n2", Availability.Shut)], [(Service("a"), [], 1)]));

    [Fact]
    public void Preference_OfANewService_DecidesBeforeLoad() =>
        Assert.Equal("a: n1; b: n1", Place([Room("n1"), Room("n2")], [(Service("a"), [], 1), (Service("b", new PlacementSpec { Prefer = [new("n1")] }), [], 1)]));

    [Fact]
    public void LargeCluster_OneNodeLost_MovesOnlyWhatStoodThere()
    {
        var services = Enumerable.Range(0, 1000).Select(i => Service($"s{i:0000}", memory: 1)).ToList();
        var first = new Placer(Enumerable.Range(0, 100).Select(i => Room($"n{i:00}", memory: 40)), services);
        foreach (var service in services) first.Fill(service, [], 3);
        var second = new Placer(Enumerable.Range(0, 100).Select(i => Room($"n{i:00}", i == 7 ? Availability.Lost : Availability.Open, 40)), services);
        foreach (var service in services) second.Keep(service, first.Where(service.Name), 3);
        foreach (var service in services) second.Fill(service, first.Where(service.Name), 3);
        var moved = services.Sum(service => second.Where(service.Name).Except(first.Where(service.Name)).Count());
        Assert.Equal(services.Count(service => first.Where(service.Name).Contains(new("n07"))), moved);
    }
}
