/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/xml_builder.h"

#include <libxml/parser.h>
#include <libxml/xmlsave.h>
#include <stdarg.h>
#include <string.h>

#define INT_TEXT_SIZE sizeof("-9223372036854775808")

typedef enum XmlFault {
    XML_FAULT_NONE,
    XML_FAULT_TYPE,  /* None where text is needed */
    XML_FAULT_VALUE, /* text that XML 1.0 cannot carry */
} XmlFault;

struct XmlDocument {
    xmlDoc *doc;      /* doc->_private points back here */
    GPtrArray *roots; /* every node made by xml_node(): freed here unless attached */
    XmlFault fault;
};

XmlDocument *
xml_document_new(void)
{
    XmlDocument *document = g_new0(XmlDocument, 1);

    document->doc = xmlNewDoc(BAD_CAST "1.0");
    document->doc->_private = document;
    document->roots = g_ptr_array_new();
    return document;
}

void
xml_document_free(XmlDocument *document)
{
    if (!document)
        return;
    /* Youngest first: a subtree is made after the node that may hold it, or attached to it. */
    for (guint i = 0; i < document->roots->len; i++) {
        xmlNode *node = document->roots->pdata[i];

        if (node->parent)
            document->roots->pdata[i] = NULL;
    }
    for (guint i = 0; i < document->roots->len; i++) {
        if (document->roots->pdata[i])
            xmlFreeNode(document->roots->pdata[i]);
    }
    g_ptr_array_unref(document->roots);
    xmlFreeDoc(document->doc);
    g_free(document);
}

xmlNode *
xml_node(XmlDocument *document, const char *name)
{
    xmlNode *node = xmlNewDocNode(document->doc, NULL, BAD_CAST name, NULL);

    g_ptr_array_add(document->roots, node);
    return node;
}

void
xml_append(xmlNode *parent, xmlNode *node)
{
    if (node)
        xmlAddChild(parent, node);
}

xmlNode *
xml_child(xmlNode *parent, const char *name)
{
    xmlNode *node = xmlNewDocNode(parent->doc, parent->ns, BAD_CAST name, NULL);

    return xmlAddChild(parent, node);
}

/* lxml takes the characters of XML 1.0 and nothing else; g_utf8_validate() excludes surrogates. */
static bool
is_xml_text(const char *text)
{
    const signed char *p = (const signed char *)text;

    while (*p >= 0x20) /* nearly all text is ASCII alone */
        p++;
    if (!*p)
        return true;
    for (; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return false;
        if (c == 0xef && (unsigned char)p[1] == 0xbf && (unsigned char)p[2] >= 0xbe)
            return false;
    }
    return g_utf8_validate(text, -1, NULL);
}

static bool
take_value(xmlNode *node, const char *value)
{
    XmlDocument *document = node->doc->_private;
    XmlFault fault = !value ? XML_FAULT_TYPE : is_xml_text(value) ? XML_FAULT_NONE : XML_FAULT_VALUE;

    if (document->fault == XML_FAULT_NONE)
        document->fault = fault;
    return fault == XML_FAULT_NONE;
}

void
xml_set_text(xmlNode *node, const char *text)
{
    if (!text || !*text || !take_value(node, text))
        return;
    xmlAddChild(node, xmlNewDocText(node->doc, BAD_CAST text));
}

static const char *
int_text(char text[INT_TEXT_SIZE], int64_t value)
{
    g_snprintf(text, INT_TEXT_SIZE, "%" PRId64, value);
    return text;
}

xmlNode *
xml_child_text(xmlNode *parent, const char *name, const char *text)
{
    xmlNode *node = xml_child(parent, name);

    xml_set_text(node, text);
    return node;
}

xmlNode *
xml_child_int(xmlNode *parent, const char *name, int64_t value)
{
    char text[INT_TEXT_SIZE];

    return xml_child_text(parent, name, int_text(text, value));
}

xmlNode *
xml_child_attr(xmlNode *parent, const char *name, const char *attribute, const char *value)
{
    xmlNode *node = xml_child(parent, name);

    xml_attr(node, attribute, value);
    return node;
}

void
xml_attr(xmlNode *node, const char *name, const char *value)
{
    if (take_value(node, value))
        xmlNewProp(node, BAD_CAST name, BAD_CAST value);
}

void
xml_attr_if(xmlNode *node, const char *name, const char *value)
{
    if (value)
        xml_attr(node, name, value);
}

void
xml_attr_int(xmlNode *node, const char *name, int64_t value)
{
    char text[INT_TEXT_SIZE];

    xml_attr(node, name, int_text(text, value));
}

void
xml_attr_printf(xmlNode *node, const char *name, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    xml_attr(node, name, text);
}

const char *
xml_yes_no(bool value)
{
    return value ? "yes" : "no";
}

const char *
xml_on_off(bool value)
{
    return value ? "on" : "off";
}

void
xml_set_namespace(xmlNode *node, const char *prefix, const char *uri)
{
    xmlSetNs(node, xmlNewNs(node, BAD_CAST uri, BAD_CAST prefix));
}

xmlNode *
xml_first(const xmlNode *parent)
{
    return parent ? xmlFirstElementChild((xmlNode *)parent) : NULL;
}

xmlNode *
xml_next(const xmlNode *node)
{
    return xmlNextElementSibling((xmlNode *)node);
}

bool
xml_is(const xmlNode *node, const char *name)
{
    return !strcmp((const char *)node->name, name);
}

xmlDoc *
xml_parse(const char *xml)
{
    const size_t length = strlen(xml);

    return length > G_MAXINT ? NULL
                             : xmlReadMemory(xml, (int)length, NULL, NULL,
                                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

xmlNode *
xml_parse_devices(const char *xml, xmlDoc **ret_document)
{
    xmlDoc *document = xml_parse(xml);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;

    *ret_document = document;
    return root ? xml_find(root, "devices") : NULL;
}

xmlNode *
xml_find(const xmlNode *parent, const char *name)
{
    for (xmlNode *node = xml_first(parent); node; node = xml_next(node)) {
        if (xml_is(node, name))
            return node;
    }
    return NULL;
}

static char *
take_xml_string(xmlChar *text)
{
    char *copy = g_strdup((const char *)text);

    xmlFree(text);
    return copy;
}

char *
xml_get_attr(const xmlNode *node, const char *name)
{
    xmlChar *text = xmlGetNoNsProp(node, BAD_CAST name);

    return text ? take_xml_string(text) : NULL;
}

char *
xml_get_child_attr(const xmlNode *node, const char *child, const char *name)
{
    xmlNode *found = xml_find(node, child);

    return found ? xml_get_attr(found, name) : NULL;
}

char *
xml_get_text(const xmlNode *node)
{
    xmlChar *text = node && node->children ? xmlNodeGetContent(node) : NULL;

    return text ? take_xml_string(text) : NULL;
}

bool
xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
    g_autofree char *text = xml_get_attr(node, name);

    return text && !strcmp(text, value);
}

char *
xml_document_text(XmlDocument *document, xmlNode *root, NovaError **err)
{
    xmlOutputBuffer *output;
    char *text;

    if (document->fault == XML_FAULT_TYPE) {
        nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                       "Argument must be bytes or unicode, got 'NoneType'");
        return NULL;
    }
    if (document->fault == XML_FAULT_VALUE) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                       "All strings must be XML compatible: Unicode or ASCII, no NULL bytes or "
                       "control characters");
        return NULL;
    }
    output = xmlAllocOutputBuffer(NULL);
    xmlNodeDumpOutput(output, document->doc, root, 0, true, "UTF-8");
    xmlOutputBufferWrite(output, 1, "\n");
    text = g_strndup((const char *)xmlOutputBufferGetContent(output), xmlOutputBufferGetSize(output));
    xmlOutputBufferClose(output);
    return text;
}
