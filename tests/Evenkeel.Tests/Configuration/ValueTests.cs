using CsCheck;
using Evenkeel.Agent.Configuration.Values;
using Xunit;

namespace Evenkeel.Tests.Configuration;

public sealed class ValueTests
{
    [Theory]
    [InlineData("100ms", 100)]
    [InlineData("5s", 5_000)]
    [InlineData("1m30s", 90_000)]
    [InlineData("1.5h", 5_400_000)]
    [InlineData("2d", 172_800_000)]
    [InlineData("0", 0)]
    public void Duration_AsPeopleWriteIt_IsUnderstood(string text, double milliseconds)
    {
        Assert.True(Duration.TryParse(text, out var value));
        Assert.Equal(milliseconds, value.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("-5s")]
    [InlineData("s")]
    [InlineData("5 s")]
    [InlineData("5sec")]
    [InlineData("1..5s")]
    [InlineData("9999999999999d")]
    public void Duration_OfAnyOtherForm_IsRefused(string text) => Assert.False(Duration.TryParse(text, out _));

    [Fact]
    public void Duration_FormattedAndParsed_IsTheSame() =>
        Gen.Long[0, TimeSpan.TicksPerDay * 365].Sample(ticks =>
        {
            var span = TimeSpan.FromTicks(ticks);
            return Duration.TryParse(Duration.Format(span), out var back) && back == span;
        });

    [Theory]
    [InlineData("20GiB", 21_474_836_480)]
    [InlineData("500MB", 500_000_000)]
    [InlineData("1.5KiB", 1536)]
    [InlineData("4096", 4096)]
    public void Size_AsPeopleWriteIt_IsUnderstood(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var value));
        Assert.Equal(bytes, value);
    }

    [Theory]
    [InlineData("20G")]
    [InlineData("0.5B")]
    [InlineData("9999999PiB")]
    [InlineData("GiB")]
    public void Size_OfAnyOtherForm_IsRefused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData("redundnacy", "redundancy")]
    [InlineData("balence", "balance")]
    [InlineData("colour", null)]
    public void Spelling_OfAnUnknownWord_OffersTheNearestOrNone(string word, string? near) =>
        Assert.Equal(near, Spelling.Nearest(word, ["redundancy", "balance", "port"]));
}
