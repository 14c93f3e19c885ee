using Evenkeel.Core.Loop;
using Xunit;

namespace Evenkeel.Tests.Loop;

/// <summary>What a starting agent plays goes through everything that it may have to do in a hurry.</summary>
public sealed class RehearsalTests
{
    [Fact]
    public void Play_GoesThroughStartDrainRestartAndTakeover()
    {
        var told = Rehearsal.Play();
        var vip = told.Where(one => one.Resource is { Kind: "vip" }).ToList();
        Assert.True(vip.Count(one => one.Kind == AnnouncementKind.Serving) >= 3, Words());
        Assert.Contains(vip, one => one.Kind == AnnouncementKind.Released);
        Assert.Contains(told, one => one.Kind == AnnouncementKind.VotingBegan);
        Assert.Contains(told, one => one.Kind == AnnouncementKind.PeerLost);
        Assert.True(told.Count(one => one.Kind == AnnouncementKind.ControllerClaimed) >= 2, Words());
        Assert.Contains(told, one => one.Kind == AnnouncementKind.InstanceStopped);
        Assert.DoesNotContain(told, one => one.Kind is AnnouncementKind.Refused or AnnouncementKind.ActionFailed or AnnouncementKind.InstanceFailed);
        // After the loss: chosen anew.
        var lost = told.ToList().FindIndex(one => one.Kind == AnnouncementKind.PeerLost);
        Assert.Contains(told.Skip(lost), one => one.Kind == AnnouncementKind.ControllerClaimed);

        string Words() => string.Join('\n', told.Select(one => $"{one.Kind} {one.Node}: {one.Words}"));
    }

    [Fact]
    public void Play_IsTheSameEachTime() => Assert.Equal(Rehearsal.Play().Select(one => one.Words), Rehearsal.Play().Select(one => one.Words));
}
