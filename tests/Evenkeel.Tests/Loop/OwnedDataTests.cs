using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class OwnedDataTests
{
    private static readonly NodeName standby = new("n2");

    [Fact]
    public void SilentFor_CountsFromTheFirstMomentAndAnewAfterAReturn()
    {
        var data = new OwnedData(new Epoch(1, 1));
        Assert.Equal(0, Silent(data, at: 100));
        Assert.Equal(150, Silent(data, at: 250));
        Assert.Equal(0, Silent(data, at: 260, silent: false));
        Assert.Equal(0, Silent(data, at: 270));
        Assert.Equal(30, Silent(data, at: 300));
    }

    [Fact]
    public void SilentFor_OfANodeThatOnlyStoppedFollowing_IsZero()
    {
        var data = new OwnedData(new Epoch(1, 1));
        data.MissingFor(standby, missing: true, TimeSpan.Zero);
        Assert.Equal(TimeSpan.FromMilliseconds(200), data.MissingFor(standby, missing: true, TimeSpan.FromMilliseconds(200)));
        Assert.Equal(0, Silent(data, at: 200));
    }

    private static double Silent(OwnedData data, int at, bool silent = true) => data.SilentFor(standby, silent, TimeSpan.FromMilliseconds(at)).TotalMilliseconds;
}
