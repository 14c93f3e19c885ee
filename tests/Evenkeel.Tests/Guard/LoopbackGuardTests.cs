using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Xunit;

namespace Evenkeel.Tests.Guard;

public sealed class LoopbackGuardTests
{
    private static readonly ResourceId Resource = ResourceId.Service("db");

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(3, 2)]
    public void Guards_OverRealSockets_GrantRenewAndHandOver(int count, int links)
    {
        using var guards = new LoopbackGuards(count, links);
        guards.Step(0, new FromAgent(new Acquire(Resource, new(1, 1), [])));
        guards.Pass(600);
        Assert.Equal(new HeldLease(Resource, new(1, 1)), Assert.Single(guards[0].HeldAt(guards.Now)));

        var next = count - 1;
        guards.Step(next, new FromAgent(new Acquire(Resource, new(1, 2), [])));
        guards.Pass(400);
        Assert.Equal(new Epoch(1, 2), Assert.Single(guards[next].HeldAt(guards.Now)).Epoch);
        Assert.Contains(guards.EffectsOf(0), effect => effect is ToAgent { Message: LeaseChanged { Phase: LeasePhase.Ended, Epoch.Number: 1 } });
    }

    [Fact]
    public void Guards_WithMoreResourcesThanADatagramHolds_HoldThemAll()
    {
        using var guards = new LoopbackGuards(3, 1);
        for (var i = 0; i < 200; i++) guards.Step(0, new FromAgent(new Acquire(ResourceId.Service("service-with-a-long-name-" + i), new(1, 1), [])));
        guards.Pass(600);
        Assert.Equal(200, guards[0].HeldAt(guards.Now).Count());
    }
}
