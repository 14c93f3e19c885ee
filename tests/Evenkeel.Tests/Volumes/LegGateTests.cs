using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Xunit;

namespace Evenkeel.Tests.Volumes;

public sealed class LegGateTests
{
    [Fact]
    public void Admit_ALowerEpoch_IsRefusedAndAHigherOneEndsTheRest()
    {
        var gate = new LegGate(new Epoch(1, 4));
        Assert.Contains("1.3 is over", gate.Admit(new Epoch(1, 3), 1, out var raised), StringComparison.Ordinal);
        Assert.False(raised);
        Assert.Null(gate.Admit(new Epoch(1, 4), 1, out raised));
        Assert.False(raised);
        Assert.Null(gate.Admit(new Epoch(1, 6), 1, out raised));
        Assert.True(raised);
        Assert.False(gate.MayWrite(new Epoch(1, 4), 1));
        Assert.True(gate.MayWrite(new Epoch(1, 6), 1));
        // A restored store's epochs outrank all before it.
        Assert.Null(gate.Admit(new Epoch(2, 1), 1, out _));
        Assert.NotNull(gate.Admit(new Epoch(1, 99), 1, out _));
    }

    [Theory]
    [InlineData("files@1.5", true)]
    [InlineData("a@b@2.17", true)]
    [InlineData("files@1.5.81", true)]
    [InlineData("files@1.5.0", false)]
    [InlineData("files@1.5.8.1", false)]
    [InlineData("files", false)]
    [InlineData("files@5", false)]
    [InlineData("@1.5", false)]
    [InlineData("files@1.-5", false)]
    [InlineData("files@x.5", false)]
    public void Name_IsReadBackOrRefused(string name, bool good)
    {
        Assert.Equal(good, LegName.TryParse(name, out var volume, out var epoch, out var connection, out _));
        if (good) Assert.Equal(name, LegName.Of(volume, epoch, connection));
    }

    [Theory]
    [InlineData(1, "n2", true)]
    [InlineData(10, "n1 n3", true)]
    [InlineData(10, "n2 n4", true)]
    [InlineData(10, "n1 n2", false)]
    [InlineData(10, "n1", false)]
    [InlineData(1, "", false)]
    public void IsWholeOn_AsksForACopyOfEveryByte(int level, string nodes, bool whole)
    {
        var volume = new VolumeSpec { Name = "v", Level = level, Size = 1 << 30, Legs = [.. Enumerable.Range(1, 4).Select(i => new VolumeLeg(new($"n{i}"), "/leg"))] };
        Assert.Equal(whole, volume.IsWholeOn([.. nodes.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(name => new NodeName(name))]));
    }
}
