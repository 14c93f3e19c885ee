using System.Buffers;
using System.Text;
using CsCheck;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class TreeTests
{
    // As restic 0.14 stored such a name; the bytes are <0xff>, <, &, >, 0x01, U+2028, ", é.
    [Fact]
    public void Encode_NameOfStrangeBytes_IsResticsBytes()
    {
        byte[] name = [0xff, .. "<&>"u8, 1, .. "\u2028\"é"u8];
        var node = new Node
        {
            Name = name, Kind = NodeKind.File, Mode = 420, Modified = new(1795395663, 429487426), Accessed = new(1795395663, 429487426),
            Changed = new(1795395663, 429487426), User = "root", Group = "root", Inode = 11657621, DeviceId = 65024, Links = 1, Content = [],
        };
        Assert.Equal(
            """{"nodes":[{"name":"\\xff\u003c\u0026\u003e\\x01\\u2028\\\"é","type":"file","mode":420,"mtime":"2026-11-23T01:01:03.429487426Z","atime":"2026-11-23T01:01:03.429487426Z","ctime":"2026-11-23T01:01:03.429487426Z","uid":0,"gid":0,"user":"root","group":"root","inode":11657621,"device_id":65024,"links":1,"content":[]}]}""" + "\n",
            Encoding.UTF8.GetString(TreeJson.Encode([node])));
    }

    [Fact]
    public void Decode_OfEncoded_GivesTheSameNames() => Gen.Byte.Array[1, 40].Sample(name =>
    {
        var decoded = TreeJson.Decode(TreeJson.Encode([new Node { Name = name, Kind = NodeKind.Symlink, LinkTarget = name }]));
        return decoded[0].Name.SequenceEqual(name) && decoded[0].LinkTarget!.SequenceEqual(name);
    }, iter: 3000);

    [Theory]
    [InlineData("{\"nodes\":[{\"name\":\"a\\\\\"}]}")]
    [InlineData("{\"nodes\":[{\"name\":\"a\",\"mtime\":\"yesterday\"}]}")]
    [InlineData("{\"nodes\":[{\"name\":\"a\",\"subtree\":\"12\"}]}")]
    [InlineData("{\"nodes\":[")]
    [InlineData("")]
    public void Decode_Nonsense_IsDamage(string json) =>
        Assert.Equal(Evenkeel.Backup.RepositoryError.Damaged,
            Assert.Throws<Evenkeel.Backup.RepositoryException>(() => TreeJson.Decode(Encoding.UTF8.GetBytes(json))).Error);

    [Theory]
    [InlineData("2026-11-23T01:01:03.429487426Z")]
    [InlineData("1965-01-02T03:04:05.000000001Z")]
    [InlineData("2026-06-01T00:00:00+02:00")]
    [InlineData("2026-06-01T00:00:00.5-09:30")]
    [InlineData("0001-01-01T00:00:00Z")]
    public void Timestamp_Parsed_PrintsAsItWas(string text)
    {
        Assert.True(Timestamp.TryParse(text, out var time));
        Assert.Equal(text, time.ToString());
    }

    [Theory]
    [InlineData("a\nb\tc", "\"a\\nb\\tc\"")]
    [InlineData("<\u2029&\u0001", "\"\\u003c\\u2029\\u0026\\u0001\"")]
    public void WriteJson_EscapesAsGoDoes(string text, string json)
    {
        var output = new ArrayBufferWriter<byte>();
        GoText.WriteJson(output, Encoding.UTF8.GetBytes(text));
        Assert.Equal(json, Encoding.UTF8.GetString(output.WrittenSpan));
    }
}
