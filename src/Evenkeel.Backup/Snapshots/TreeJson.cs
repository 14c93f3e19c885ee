using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Snapshots;

/// <summary>Trees as bytes, exactly restic's: field order, omitted fields, escapes and the final newline.</summary>
internal static class TreeJson
{
    private static readonly string[] KindNames = ["file", "dir", "symlink", "dev", "chardev", "fifo", "socket", ""];

    /// <summary>Encodes nodes, which must be sorted by the bytes of their names.</summary>
    public static byte[] Encode(IReadOnlyList<Node> nodes)
    {
        var output = new ArrayBufferWriter<byte>(256 + (nodes.Count * 512));
        output.Write("{\"nodes\":["u8);
        for (var i = 0; i < nodes.Count; i++)
        {
            if (i > 0)
            {
                output.Write(","u8);
            }
            WriteNode(output, nodes[i]);
        }
        output.Write("]}\n"u8);
        return output.WrittenSpan.ToArray();
    }

    private static void WriteNode(ArrayBufferWriter<byte> output, Node node)
    {
        output.Write("{\"name\":"u8);
        GoText.WriteJson(output, GoText.Quote(node.Name) ?? node.Name);
        output.Write(",\"type\":\""u8);
        Ascii(output, KindNames[(int)node.Kind]);
        output.Write("\""u8);
        Number(output, ",\"mode\":"u8, node.Mode, always: false);
        Time(output, ",\"mtime\":\""u8, node.Modified);
        Time(output, ",\"atime\":\""u8, node.Accessed);
        Time(output, ",\"ctime\":\""u8, node.Changed);
        Number(output, ",\"uid\":"u8, node.UserId, always: true);
        Number(output, ",\"gid\":"u8, node.GroupId, always: true);
        Text(output, ",\"user\":"u8, node.User);
        Text(output, ",\"group\":"u8, node.Group);
        Number(output, ",\"inode\":"u8, node.Inode, always: false);
        Number(output, ",\"device_id\":"u8, node.DeviceId, always: false);
        Number(output, ",\"size\":"u8, node.Size, always: false);
        Number(output, ",\"links\":"u8, node.Links, always: false);
        if (node.LinkTarget is { Length: > 0 } target)
        {
            output.Write(",\"linktarget\":"u8);
            GoText.WriteJson(output, target);
            if (!System.Text.Unicode.Utf8.IsValid(target))
            {
                output.Write(",\"linktarget_raw\":"u8);
                Base64Text(output, target);
            }
        }
        if (node.ExtendedAttributes.Count > 0)
        {
            output.Write(",\"extended_attributes\":["u8);
            for (var i = 0; i < node.ExtendedAttributes.Count; i++)
            {
                output.Write(i == 0 ? "{\"name\":"u8 : ",{\"name\":"u8);
                GoText.WriteJson(output, node.ExtendedAttributes[i].Name);
                output.Write(",\"value\":"u8);
                Base64Text(output, node.ExtendedAttributes[i].Value);
                output.Write("}"u8);
            }
            output.Write("]"u8);
        }
        Number(output, ",\"device\":"u8, node.Device, always: false);
        output.Write(",\"content\":"u8);
        if (node.Content is null)
        {
            output.Write("null"u8);
        }
        else
        {
            for (var i = 0; i < node.Content.Count; i++)
            {
                output.Write(i == 0 ? "[\""u8 : ",\""u8);
                Ascii(output, node.Content[i].ToString());
                output.Write("\""u8);
            }
            output.Write(node.Content.Count == 0 ? "[]"u8 : "]"u8);
        }
        if (node.Subtree is { } subtree)
        {
            output.Write(",\"subtree\":\""u8);
            Ascii(output, subtree.ToString());
            output.Write("\""u8);
        }
        output.Write("}"u8);
    }

    private static void Ascii(ArrayBufferWriter<byte> output, string text)
    {
        var span = output.GetSpan(text.Length);
        output.Advance(Encoding.ASCII.GetBytes(text, span));
    }

    private static void Number(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> label, ulong value, bool always)
    {
        if (value != 0 || always)
        {
            output.Write(label);
            var span = output.GetSpan(20);
            _ = Utf8Formatter.TryFormat(value, span, out var written);
            output.Advance(written);
        }
    }

    private static void Time(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> label, Timestamp time)
    {
        output.Write(label);
        Ascii(output, time.ToString());
        output.Write("\""u8);
    }

    private static void Text(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> label, string text)
    {
        if (text.Length > 0)
        {
            output.Write(label);
            GoText.WriteJson(output, Encoding.UTF8.GetBytes(text));
        }
    }

    private static void Base64Text(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> bytes)
    {
        output.Write("\""u8);
        var span = output.GetSpan(Base64.GetMaxEncodedToUtf8Length(bytes.Length));
        Base64.EncodeToUtf8(bytes, span, out _, out var written);
        output.Advance(written);
        output.Write("\""u8);
    }

    /// <summary>Reads a tree; fails with <see cref="RepositoryError.Damaged"/>. Unknown fields are skipped, as restic does.</summary>
    public static List<Node> Decode(ReadOnlySpan<byte> utf8)
    {
        try
        {
            var nodes = new List<Node>();
            var reader = new Utf8JsonReader(utf8);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isNodes = reader.ValueTextEquals("nodes"u8);
                reader.Read();
                if (!isNodes || reader.TokenType != JsonTokenType.StartArray)
                {
                    reader.Skip();
                    continue;
                }
                while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
                {
                    nodes.Add(ReadNode(ref reader));
                }
            }
            return nodes;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new RepositoryException(RepositoryError.Damaged, "a tree is not valid JSON of the expected shape", e);
        }
    }

    private static Node ReadNode(ref Utf8JsonReader reader)
    {
        var node = new Node { Name = [], Kind = NodeKind.Other };
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var field = reader.GetString();
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            node = field switch
            {
                "name" => node with { Name = GoText.Unquote(Bytes(ref reader)) ?? throw new FormatException("a name is not quoted as Go quotes") },
                "type" => node with { Kind = Kind(reader.GetString()) },
                "mode" => node with { Mode = reader.GetUInt32() },
                "mtime" => node with { Modified = Time(ref reader) },
                "atime" => node with { Accessed = Time(ref reader) },
                "ctime" => node with { Changed = Time(ref reader) },
                "uid" => node with { UserId = reader.GetUInt32() },
                "gid" => node with { GroupId = reader.GetUInt32() },
                "user" => node with { User = reader.GetString()! },
                "group" => node with { Group = reader.GetString()! },
                "inode" => node with { Inode = reader.GetUInt64() },
                "device_id" => node with { DeviceId = reader.GetUInt64() },
                "size" => node with { Size = reader.GetUInt64() },
                "links" => node with { Links = reader.GetUInt64() },
                "linktarget" when node.LinkTarget is null => node with { LinkTarget = Bytes(ref reader) },
                "linktarget_raw" => node with { LinkTarget = reader.GetBytesFromBase64() },
                "extended_attributes" => node with { ExtendedAttributes = ReadAttributes(ref reader) },
                "device" => node with { Device = reader.GetUInt64() },
                "content" => node with { Content = ReadIds(ref reader) },
                "subtree" => node with { Subtree = Id(ref reader) },
                _ => Skip(ref reader, node),
            };
        }
        return node;
    }

    private static Node Skip(ref Utf8JsonReader reader, Node node)
    {
        reader.Skip();
        return node;
    }

    private static List<ExtendedAttribute> ReadAttributes(ref Utf8JsonReader reader)
    {
        var list = new List<ExtendedAttribute>();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            byte[] name = [], value = [];
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isName = reader.ValueTextEquals("name"u8);
                reader.Read();
                if (reader.TokenType == JsonTokenType.Null)
                {
                    continue;
                }
                if (isName)
                {
                    name = Bytes(ref reader);
                }
                else
                {
                    value = reader.GetBytesFromBase64();
                }
            }
            list.Add(new ExtendedAttribute(name, value));
        }
        return list;
    }

    private static List<ObjectId> ReadIds(ref Utf8JsonReader reader)
    {
        var list = new List<ObjectId>();
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
        {
            list.Add(Id(ref reader));
        }
        return list;
    }

    private static byte[] Bytes(ref Utf8JsonReader reader)
    {
        var buffer = new byte[reader.ValueSpan.Length];
        return buffer[..reader.CopyString(buffer)];
    }

    private static ObjectId Id(ref Utf8JsonReader reader) =>
        ObjectId.TryParse(reader.ValueSpan, out var id) ? id : throw new FormatException("not an id");

    private static Timestamp Time(ref Utf8JsonReader reader) =>
        Timestamp.TryParse(reader.GetString(), out var time) ? time : throw new FormatException("not a time");

    private static NodeKind Kind(string? name)
    {
        var kind = Array.IndexOf(KindNames, name, 0, (int)NodeKind.Other);
        return kind < 0 ? NodeKind.Other : (NodeKind)kind;
    }
}
