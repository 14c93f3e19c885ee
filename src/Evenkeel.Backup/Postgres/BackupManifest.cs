using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Evenkeel.Backup.Postgres;

/// <summary>A file that a base backup has.</summary>
/// <param name="Path">Below the server's directory, through <c>pg_tblspc</c> for those of a tablespace. Bytes: Linux promises no encoding.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Modified">To the second.</param>
internal sealed record ManifestFile(byte[] Path, ulong Size, DateTimeOffset Modified);

/// <summary>
/// The list of a base backup's files that PostgreSQL's own programs read: <c>pg_verifybackup</c>, and <c>pg_basebackup --incremental</c>.
/// </summary>
/// <param name="SystemIdentifier">The server's; null before PostgreSQL 17, whose programs do not know it.</param>
/// <param name="Files">All but those of the log and the manifest itself.</param>
/// <param name="Timeline">The timeline of the log that the backup needs.</param>
/// <param name="Start">Where that part of the log begins.</param>
/// <param name="Stop">Where it ends.</param>
/// <remarks>
/// Source: PostgreSQL's documentation, "Backup Manifest Format". Files have no checksums, which the format allows: of a file that was
/// taken over in part nobody read the whole, and the repository guards every block with its own.
/// </remarks>
internal sealed record BackupManifest(ulong? SystemIdentifier, IReadOnlyList<ManifestFile> Files, uint Timeline, ulong Start, ulong Stop)
{
    public const string FileName = "backup_manifest";
    private const string Version = "PostgreSQL-Backup-Manifest-Version";
    private const string Identifier = "System-Identifier";
    private const string List = "Files";
    private const string Branch = "Timeline";
    private const string Checksum = "Manifest-Checksum";
    private const string TimeFormat = "yyyy-MM-dd HH:mm:ss 'GMT'";
    private static readonly JsonWriterOptions s_relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The file's content.</summary>
    public byte[] Write()
    {
        // The checksum is of all lines before its own, to the byte; hence no writer for the whole.
        var text = new ArrayBufferWriter<byte>();
        Line(SystemIdentifier is { } identifier ? $"{{ \"{Version}\": 2,\n\"{Identifier}\": {identifier},\n\"{List}\": [" : $"{{ \"{Version}\": 1,\n\"{List}\": [");
        for (var i = 0; i < Files.Count; i++)
        {
            WriteFile(text, Files[i]);
            Line(i < Files.Count - 1 ? "," : "");
        }
        Line("],\n\"WAL-Ranges\": [");
        Line($"{{ \"{Branch}\": {Timeline}, \"Start-LSN\": \"{LogPosition.Write(Start)}\", \"End-LSN\": \"{LogPosition.Write(Stop)}\" }}\n],");
        Line($"\"{Checksum}\": \"{Convert.ToHexStringLower(SHA256.HashData(text.WrittenSpan))}\"}}");
        return text.WrittenSpan.ToArray();

        void Line(string line) => text.Write(Encoding.UTF8.GetBytes(line + "\n"));
    }

    /// <summary>
    /// Reads what <see cref="Write"/> wrote; null for another program's, which has more than we could keep.
    /// Fails with <see cref="RepositoryError.Damaged"/> where it is no manifest or not whole.
    /// </summary>
    public static BackupManifest? Parse(ReadOnlyMemory<byte> content)
    {
        try
        {
            using var document = JsonDocument.Parse(content);
            var root = document.RootElement;
            var lines = content.Span[..^1].LastIndexOf((byte)'\n') + 1;
            if (root.GetProperty(Checksum).GetString() != Convert.ToHexStringLower(SHA256.HashData(content.Span[..lines])))
            {
                throw new RepositoryException(RepositoryError.Damaged, $"{FileName} does not match its own checksum");
            }
            var ranges = root.GetProperty("WAL-Ranges");
            if (ranges.GetArrayLength() != 1 || root.GetProperty(List).EnumerateArray().Any(f => f.TryGetProperty("Checksum", out _)))
            {
                return null;
            }
            return new BackupManifest(
                root.TryGetProperty(Identifier, out var identifier) ? identifier.GetUInt64() : null, [.. root.GetProperty(List).EnumerateArray().Select(ReadFile)],
                ranges[0].GetProperty(Branch).GetUInt32(), Position("Start-LSN"), Position("End-LSN"));

            ulong Position(string name) => LogPosition.Parse(ranges[0].GetProperty(name).GetString() ?? "");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new RepositoryException(RepositoryError.Damaged, $"{FileName} is no manifest of a base backup: {e.Message}", e);
        }
    }

    private static void WriteFile(ArrayBufferWriter<byte> text, ManifestFile file)
    {
        using var json = new Utf8JsonWriter(text, s_relaxed);
        json.WriteStartObject();
        if (Utf8.IsValid(file.Path))
        {
            json.WriteString("Path", file.Path);
        }
        else
        {
            json.WriteString("Encoded-Path", Convert.ToHexStringLower(file.Path));
        }
        json.WriteNumber("Size", file.Size);
        json.WriteString("Last-Modified", file.Modified.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture));
        json.WriteEndObject();
    }

    private static ManifestFile ReadFile(JsonElement file) => new(
        file.TryGetProperty("Path", out var path) ? Encoding.UTF8.GetBytes(path.GetString()!) : Convert.FromHexString(file.GetProperty("Encoded-Path").GetString()!),
        file.GetProperty("Size").GetUInt64(),
        new DateTimeOffset(DateTime.ParseExact(file.GetProperty("Last-Modified").GetString()!, TimeFormat, CultureInfo.InvariantCulture), TimeSpan.Zero));
}
