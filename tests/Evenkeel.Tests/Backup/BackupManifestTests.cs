using System.Security.Cryptography;
using System.Text;
using Evenkeel.Backup;
using Evenkeel.Backup.Postgres;
using Xunit;

namespace Evenkeel.Tests.Backup;

/// <summary>The list that PostgreSQL's own programs check a base backup by.</summary>
public sealed class BackupManifestTests
{
    private static readonly DateTimeOffset s_time = new(2026, 3, 1, 13, 0, 5, TimeSpan.FromHours(1));

    [Fact]
    public void Write_IsWhatPostgresDescribes()
    {
        var text = Encoding.UTF8.GetString(new BackupManifest(7318000000000000001, [File("base/5/1259", 8192), File("größe \"x\"", 0)], 2, 0x2000028, 0x1_0000_0000).Write());
        var (lines, last) = (text[..(text[..^1].LastIndexOf('\n') + 1)], text[(text[..^1].LastIndexOf('\n') + 1)..]);
        Assert.Equal("""
            { "PostgreSQL-Backup-Manifest-Version": 2,
            "System-Identifier": 7318000000000000001,
            "Files": [
            {"Path":"base/5/1259","Size":8192,"Last-Modified":"2026-03-01 12:00:05 GMT"},
            {"Path":"größe \"x\"","Size":0,"Last-Modified":"2026-03-01 12:00:05 GMT"}
            ],
            "WAL-Ranges": [
            { "Timeline": 2, "Start-LSN": "0/2000028", "End-LSN": "1/0" }
            ],

            """, lines);
        Assert.Equal($"\"Manifest-Checksum\": \"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines)))}\"}}\n", last);
    }

    [Fact]
    public void Write_BeforePostgres17_HasNoIdentifier() =>
        Assert.StartsWith("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n", Encoding.UTF8.GetString(new BackupManifest(null, [File("x", 1)], 1, 1, 2).Write()), StringComparison.Ordinal);

    [Fact]
    public void WhatIsWritten_IsReadAsItWas()
    {
        var manifest = new BackupManifest(ulong.MaxValue, [File("PG_VERSION", 3), new([(byte)'a', 0xff, (byte)'/', 0x80], ulong.MaxValue, s_time), File("new\nline", 5)], uint.MaxValue, 1, ulong.MaxValue);
        var read = BackupManifest.Parse(manifest.Write())!;
        Assert.Equal((manifest.SystemIdentifier, manifest.Timeline, manifest.Start, manifest.Stop), (read.SystemIdentifier, read.Timeline, read.Start, read.Stop));
        Assert.Equal(manifest.Files.Select(Text), read.Files.Select(Text));
        Assert.Equal(manifest.Write(), read.Write());
        Assert.Empty(BackupManifest.Parse(new BackupManifest(1, [], 1, 1, 2).Write())!.Files);
    }

    [Fact]
    public void Parse_AnotherProgramsWithChecksums_IsLeftToIt() => Assert.Null(BackupManifest.Parse(Signed("""
        { "PostgreSQL-Backup-Manifest-Version": 2,
        "System-Identifier": 7,
        "Files": [
        { "Path": "backup_label", "Size": 225, "Last-Modified": "2026-03-01 12:00:05 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "01020304" }
        ],
        "WAL-Ranges": [
        { "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }
        ],

        """)));

    [Fact]
    public void Parse_OneByteChanged_IsDamaged()
    {
        var content = new BackupManifest(7, [File("base/5/1259", 8192)], 2, 1, 2).Write();
        content[content.AsSpan().IndexOf("8192"u8)] = (byte)'9';
        Assert.Contains("does not match its own checksum", Assert.Throws<RepositoryException>(() => BackupManifest.Parse(content)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(""), InlineData("{}"), InlineData("[]"), InlineData("null"), InlineData("{ \"Files\": []"), InlineData("{\"Manifest-Checksum\":1}")]
    public void Parse_NoManifest_IsDamaged(string text) =>
        Assert.Contains("is no manifest", Assert.Throws<RepositoryException>(() => BackupManifest.Parse(Encoding.UTF8.GetBytes(text))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{\"Files\": [],\n\"WAL-Ranges\": [{}],\n"), InlineData("{\"Files\": 1,\n\"WAL-Ranges\": [{}],\n"), InlineData("{\"Files\": [],\n\"WAL-Ranges\": 1,\n"), InlineData("{\"WAL-Ranges\": [{}],\n")]
    [InlineData("{\"Files\": [{\"Path\":\"x\",\"Size\":-1,\"Last-Modified\":\"2026-03-01 12:00:05 GMT\"}],\n\"WAL-Ranges\": [{\"Timeline\":1,\"Start-LSN\":\"0/1\",\"End-LSN\":\"0/2\"}],\n")]
    [InlineData("{\"Files\": [{\"Path\":null,\"Size\":1,\"Last-Modified\":\"2026-03-01 12:00:05 GMT\"}],\n\"WAL-Ranges\": [{\"Timeline\":1,\"Start-LSN\":\"0/1\",\"End-LSN\":\"0/2\"}],\n")]
    [InlineData("{\"Files\": [{\"Encoded-Path\":\"0g\",\"Size\":1,\"Last-Modified\":\"2026-03-01 12:00:05 GMT\"}],\n\"WAL-Ranges\": [{\"Timeline\":1,\"Start-LSN\":\"0/1\",\"End-LSN\":\"0/2\"}],\n")]
    [InlineData("{\"Files\": [],\n\"WAL-Ranges\": [{\"Timeline\":1,\"Start-LSN\":\"nowhere\",\"End-LSN\":\"0/2\"}],\n"), InlineData("{\"Files\": [],\n\"WAL-Ranges\": [{\"Timeline\":1,\"Start-LSN\":null,\"End-LSN\":\"0/2\"}],\n")]
    public void Parse_AnotherStructure_IsDamaged(string lines) =>
        Assert.Contains("is no manifest", Assert.Throws<RepositoryException>(() => BackupManifest.Parse(Signed(lines))).Message, StringComparison.Ordinal);

    private static byte[] Signed(string lines) =>
        Encoding.UTF8.GetBytes($"{lines}\"Manifest-Checksum\": \"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines)))}\"}}\n");

    private static ManifestFile File(string path, ulong size) => new(Encoding.UTF8.GetBytes(path), size, s_time);

    private static string Text(ManifestFile file) => $"{Convert.ToHexString(file.Path)} {file.Size} {file.Modified.UtcDateTime:s}";
}
