using System.Buffers;
using System.Text.Json;

namespace Evenkeel.Backup.Repository;

/// <summary>A pack's blobs as an index lists them.</summary>
internal sealed record IndexedPack(ObjectId Id, IReadOnlyList<PackedBlob> Blobs);

/// <summary>A file in <c>index/</c>: <c>{"supersedes":[…],"packs":[{"id":…,"blobs":[…]}]}</c>.</summary>
internal static class IndexFile
{
    public static byte[] Encode(IEnumerable<IndexedPack> packs)
    {
        var buffer = new ArrayBufferWriter<byte>(1 << 16);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteStartArray("packs");
        foreach (var pack in packs)
        {
            json.WriteStartObject();
            json.WriteString("id", pack.Id.ToString());
            json.WriteStartArray("blobs");
            foreach (var blob in pack.Blobs)
            {
                json.WriteStartObject();
                json.WriteString("id", blob.Id.ToString());
                json.WriteString("type", blob.Kind == BlobKind.Tree ? "tree" : "data");
                json.WriteNumber("offset", blob.Offset);
                json.WriteNumber("length", blob.Length);
                if (blob.UncompressedLength != 0)
                {
                    json.WriteNumber("uncompressed_length", blob.UncompressedLength);
                }
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Reads an index; fails with <see cref="RepositoryError.Damaged"/>.</summary>
    public static List<IndexedPack> Decode(ReadOnlySpan<byte> utf8)
    {
        try
        {
            var reader = new Utf8JsonReader(utf8);
            reader.Read();
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                throw new RepositoryException(RepositoryError.UnknownFormat, "an index has the layout of 2014; rebuild it with `restic repair index`");
            }
            var packs = new List<IndexedPack>();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isPacks = reader.ValueTextEquals("packs"u8);
                reader.Read();
                if (!isPacks)
                {
                    reader.Skip();
                    continue;
                }
                while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
                {
                    packs.Add(ReadPack(ref reader));
                }
            }
            return packs;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new RepositoryException(RepositoryError.Damaged, "an index is not valid JSON of the expected shape", e);
        }
    }

    private static IndexedPack ReadPack(ref Utf8JsonReader reader)
    {
        var id = default(ObjectId);
        var blobs = new List<PackedBlob>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
            {
                id = ReadId(ref reader);
            }
            else if (reader.ValueTextEquals("blobs"u8))
            {
                reader.Read();
                while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
                {
                    blobs.Add(ReadBlob(ref reader));
                }
            }
            else
            {
                reader.Skip();
            }
        }
        return new IndexedPack(id, blobs);
    }

    private static PackedBlob ReadBlob(ref Utf8JsonReader reader)
    {
        var blob = default(PackedBlob);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
            {
                blob = blob with { Id = ReadId(ref reader) };
            }
            else if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                blob = blob with
                {
                    Kind = reader.ValueTextEquals("tree"u8) ? BlobKind.Tree
                        : reader.ValueTextEquals("data"u8) ? BlobKind.Data
                        : throw new FormatException("unknown blob type"),
                };
            }
            else if (reader.ValueTextEquals("offset"u8))
            {
                reader.Read();
                blob = blob with { Offset = reader.GetUInt32() };
            }
            else if (reader.ValueTextEquals("length"u8))
            {
                reader.Read();
                blob = blob with { Length = reader.GetUInt32() };
            }
            else if (reader.ValueTextEquals("uncompressed_length"u8))
            {
                reader.Read();
                blob = blob with { UncompressedLength = reader.GetUInt32() };
            }
            else
            {
                reader.Skip();
            }
        }
        return blob;
    }

    private static ObjectId ReadId(ref Utf8JsonReader reader)
    {
        reader.Read();
        return ObjectId.TryParse(reader.ValueSpan, out var id) ? id : throw new FormatException("not an id");
    }
}
