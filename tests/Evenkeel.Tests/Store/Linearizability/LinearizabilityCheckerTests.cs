using Xunit;
using static Evenkeel.Tests.Store.Linearizability.RegisterAction;

namespace Evenkeel.Tests.Store.Linearizability;

public sealed class LinearizabilityCheckerTests
{
    private static RegisterOperation Op(RegisterAction action, string? expected, string? value, long called, long returned) =>
        new(action, expected, value, called, returned);

    private static bool Check(params RegisterOperation[] history) => LinearizabilityChecker.IsLinearizable(history);

    [Fact]
    public void IsLinearizable_ReadAfterWrite_Holds() =>
        Assert.True(Check(Op(Write, null, "a", 0, 1), Op(Read, null, "a", 2, 3)));

    [Fact]
    public void IsLinearizable_StaleRead_Fails() =>
        Assert.False(Check(Op(Write, null, "a", 0, 1), Op(Write, null, "b", 2, 3), Op(Read, null, "a", 4, 5)));

    [Fact]
    public void IsLinearizable_ReadDuringWrite_MaySeeEither()
    {
        Assert.True(Check(Op(Write, null, "a", 0, 9), Op(Read, null, null, 1, 2)));
        Assert.True(Check(Op(Write, null, "a", 0, 9), Op(Read, null, "a", 1, 2)));
    }

    [Fact]
    public void IsLinearizable_ReadsThatGoBack_Fail() =>
        Assert.False(Check(Op(Write, null, "a", 0, 9), Op(Read, null, "a", 1, 2), Op(Read, null, null, 3, 4)));

    [Fact]
    public void IsLinearizable_TwoSwapsFromTheSameValue_Fail() =>
        Assert.False(Check(Op(Swap, null, "a", 0, 5), Op(Swap, null, "b", 1, 6)));

    [Fact]
    public void IsLinearizable_FailedSwapWithoutRival_Fails() =>
        Assert.False(Check(Op(Write, null, "a", 0, 1), Op(FailedSwap, "a", "b", 2, 3), Op(Read, null, "a", 4, 5)));

    [Fact]
    public void IsLinearizable_UnknownWrite_MayHaveHappenedLateOrNever()
    {
        var unknown = Op(Write, null, "a", 0, RegisterOperation.Unknown);
        Assert.True(Check(unknown, Op(Read, null, null, 1, 2), Op(Read, null, "a", 3, 4)));
        Assert.True(Check(unknown, Op(Read, null, null, 1, 2), Op(Read, null, null, 3, 4)));
        Assert.False(Check(unknown, Op(Read, null, "a", 1, 2), Op(Read, null, null, 3, 4)));
    }

    [Fact]
    public void IsLinearizable_WriteAppliedTwice_Fails() =>
        Assert.False(Check(
            Op(Write, null, "a", 0, RegisterOperation.Unknown), Op(Read, null, "a", 1, 2),
            Op(Write, null, "b", 3, 4), Op(Read, null, "b", 5, 6), Op(Read, null, "a", 7, 8)));

    [Fact]
    public void IsLinearizable_ValueOfARefusedWrite_Fails() =>
        Assert.False(Check(Op(Write, null, "a", 0, 1), Op(Read, null, "never", 2, 3)));

    [Fact]
    public void IsLinearizable_LostAcknowledgedWrite_Fails() =>
        Assert.False(Check(Op(Write, null, "a", 0, 1), Op(Swap, "a", "b", 2, 3), Op(Read, null, "a", 4, 5), Op(Swap, "a", "c", 6, 7)));
}
