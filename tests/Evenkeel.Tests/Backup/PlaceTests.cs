using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Postgres;
using Xunit;

namespace Evenkeel.Tests.Backup;

/// <summary>Names of places, and places in PostgreSQL's log.</summary>
public sealed class PlaceTests
{
    [Theory]
    [InlineData("s3:https://s3.example:9000/bucket", "https://s3.example:9000/", "bucket", "", "us-east-1")]
    [InlineData("s3:s3.example/bucket/a/b/", "https://s3.example/", "bucket", "a/b/", "us-east-1")]
    [InlineData("s3:http://127.0.0.1:4568/bucket/a%20b", "http://127.0.0.1:4568/", "bucket", "a b/", "us-east-1")]
    [InlineData("s3:s3.eu-central-1.amazonaws.com/bucket", "https://s3.eu-central-1.amazonaws.com/", "bucket", "", "eu-central-1")]
    [InlineData("s3:https://s3.dualstack.us-west-2.amazonaws.com/bucket", "https://s3.dualstack.us-west-2.amazonaws.com/", "bucket", "", "us-west-2")]
    public void S3Location_AsResticNamesIt(string text, string endpoint, string bucket, string prefix, string region)
    {
        var place = S3Location.Parse(text);
        Assert.Equal((endpoint, bucket, prefix, region), (place.Endpoint.ToString(), place.Bucket, place.Prefix, place.Region));
        Assert.Equal("mine", S3Location.Parse(text, "mine").Region);
    }

    [Theory]
    [InlineData("s3:")]
    [InlineData("s3:https://s3.example")]
    [InlineData("s3:ftp://s3.example/bucket")]
    [InlineData("s3:https://key:secret@s3.example/bucket")]
    public void S3Location_ThatIsNone_IsRefused_AndNotRepeated(string text) =>
        Assert.DoesNotContain("secret", Assert.Throws<FormatException>(() => S3Location.Parse(text)).Message, StringComparison.Ordinal);

    // As pg_walfile_name gives them; a position at a segment's beginning needs the one before.
    [Theory]
    [InlineData("0/3000148", 16, "0000000000000003")]
    [InlineData("0/3000000", 16, "0000000000000002")]
    [InlineData("1/FF000001", 16, "00000001000000FF")]
    [InlineData("2/0", 16, "00000001000000FF")]
    [InlineData("1/40000001", 64, "0000000100000010")]
    [InlineData("1/80000001", 1024, "0000000100000002")]
    public void EndOf_APlaceInTheLog_IsTheSegmentThatHoldsTheByteBefore(string position, ulong megabytes, string segment) =>
        Assert.Equal(segment, WalFile.EndOf(LogPosition.Parse(position), megabytes << 20));
}
