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
                Id(output, node.Content[i]);
                output.Write("\""u8);
            }
            output.Write(node.Content.Count == 0 ? "[]"u8 : "]"u8);
        }
        if (node.Subtree is { } subtree)
        {
            output.Write(",\"subtree\":\""u8);
            Id(output, subtree);
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
        output.Advance(time.Format(output.GetSpan(Timestamp.LongestText)));
        output.Write("\""u8);
    }

    private static void Id(ArrayBufferWriter<byte> output, ObjectId id)
    {
        id.Format(output.GetSpan(2 * ObjectId.Size));
        output.Advance(2 * ObjectId.Size);
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
        byte[] name = [];
        var kind = NodeKind.Other;
        uint mode = 0, userId = 0, groupId = 0;
        Timestamp modified = default, accessed = default, changed = default;
        string user = "", group = "";
        ulong inode = 0, deviceId = 0, size = 0, links = 0, device = 0;
        byte[]? target = null;
        IReadOnlyList<ExtendedAttribute> attributes = [];
        IReadOnlyList<ObjectId>? content = null;
        ObjectId? subtree = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var field = reader.GetString();
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            switch (field)
            {
                case "name": name = GoText.Unquote(Bytes(ref reader)) ?? throw new FormatException("a name is not quoted as Go quotes"); break;
                case "type": kind = Kind(reader.GetString()); break;
                case "mode": mode = reader.GetUInt32(); break;
                case "mtime": modified = Time(ref reader); break;
                case "atime": accessed = Time(ref reader); break;
                case "ctime": changed = Time(ref reader); break;
                case "uid": userId = reader.GetUInt32(); break;
                case "gid": groupId = reader.GetUInt32(); break;
                case "user": user = reader.GetString()!; break;
                case "group": group = reader.GetString()!; break;
                case "inode": inode = reader.GetUInt64(); break;
                case "device_id": deviceId = reader.GetUInt64(); break;
                case "size": size = reader.GetUInt64(); break;
                case "links": links = reader.GetUInt64(); break;
                case "linktarget": target ??= Bytes(ref reader); break;
                case "linktarget_raw": target = reader.GetBytesFromBase64(); break;
                case "extended_attributes": attributes = ReadAttributes(ref reader); break;
                case "device": device = reader.GetUInt64(); break;
                case "content": content = ReadIds(ref reader); break;
                case "subtree": subtree = Id(ref reader); break;
                default: reader.Skip(); break;
            }
        }
        return new Node
        {
            Name = name,
            Kind = kind,
            Mode = mode,
            Modified = modified,
            Accessed = accessed,
            Changed = changed,
            UserId = userId,
            GroupId = groupId,
            User = user,
            Group = group,
            Inode = inode,
            DeviceId = deviceId,
            Size = size,
            Links = links,
            LinkTarget = target,
            ExtendedAttributes = attributes,
            Device = device,
            Content = content,
            Subtree = subtree,
        };
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
        (reader.ValueIsEscaped || reader.TokenType != JsonTokenType.String ? Timestamp.TryParse(reader.GetString(), out var time) : Timestamp.TryParse(reader.ValueSpan, out time))
            ? time : throw new FormatException("not a time");

    private static NodeKind Kind(string? name)
    {
        var kind = Array.IndexOf(KindNames, name, 0, (int)NodeKind.Other);
        return kind < 0 ? NodeKind.Other : (NodeKind)kind;
    }
}
